//! Reading rows back.

use serde::{Deserialize, Serialize};
use streamtable_schema::TablePath;

use super::{Operation, answer, present, variables};

variables! {
    /// Reads rows back.
    ReadRows {
        /// The entity.
        entity: String,
        /// The project.
        project: String,
        /// The table's run.
        table: String,
        /// The number of the first row.
        min: u64,
        /// The number behind the last row.
        max: u64,
        /// How many rows to answer with at the most.
        limit: u64,
    }
}

impl ReadRows {
    /// Reads the rows of a table from number `min` on, before `max`, as many as `limit`.
    ///
    /// Numbers beyond those that GraphQL's integers hold become the largest that they do.
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
    /// The answer to [`ReadRows`].
    ReadRowsAnswer {
        /// The project, if it is there.
        #[serde(deserialize_with = "present")]
        project: Option<ReadProject>,
    }
}

answer! {
    /// A project, in the answer to [`ReadRows`].
    ReadProject {
        /// The table's run, if it is there.
        run: Option<ReadRun>,
    }
}

answer! {
    /// A table's run, in the answer to [`ReadRows`].
    ReadRun {
        /// Its rows, oldest first: each a history line, for [`HistoryLine`](crate::HistoryLine).
        history: Vec<String>,
    }
}
