//! Operation that reads rows.

use serde::{Deserialize, Serialize};
use streamtable_schema::TablePath;

use super::{Operation, answer, present, variables};

variables! {
    /// Reads rows of a table.
    ReadRows {
        /// The entity.
        entity: String,
        /// The project.
        project: String,
        /// The table's run.
        table: String,
        /// The number of the first row.
        min: u64,
        /// The number after the last row.
        max: u64,
        /// Maximum number of rows to return.
        limit: u64,
    }
}

impl ReadRows {
    /// Reads at most `limit` rows of a table with numbers from `min` up to, but not including,
    /// `max`.
    ///
    /// Numbers that exceed GraphQL's integer range are clamped to its maximum.
    pub fn new(table: &TablePath, min: u64, max: u64, limit: u64) -> Self {
        Self {
            entity: table.entity().to_owned(),
            project: table.project().to_owned(),
            table: table.table().to_owned(),
            min: min.min(i64::MAX as u64),
            max: max.min(i64::MAX as u64),
            limit: limit.min(i32::MAX as u64),
        }
    }
}

impl Operation for ReadRows {
    const NAME: &'static str = "StreamTableRows";
    const DOCUMENT: &'static str = include_str!("../documents/read_rows.graphql");
    type Answer = ReadRowsAnswer;
}

answer! {
    /// The response to [`ReadRows`].
    ReadRowsAnswer {
        /// The project, if it exists.
        #[serde(deserialize_with = "present")]
        project: Option<ReadProject>,
    }
}

answer! {
    /// A project in the response to [`ReadRows`].
    ReadProject {
        /// The table's run, if it exists.
        run: Option<ReadRun>,
    }
}

answer! {
    /// A table's run in the response to [`ReadRows`].
    ReadRun {
        /// Its rows, oldest first; each is a history line for [`HistoryLine`](crate::HistoryLine).
        history: Vec<String>,
    }
}
