//! Reports of problems with stored data.

use serde::{Deserialize, Serialize};
use streamtable_schema::TablePath;

/// The problems of a store and of its tables. Data without a reported problem is served completely.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Problems that belong to no single table.
    pub store: Vec<Problem>,
    /// The tables that have problems, sorted by name.
    pub tables: Vec<(TablePath, Vec<Problem>)>,
}

impl Health {
    /// Returns whether there is no problem.
    pub fn is_ok(&self) -> bool {
        self.store.is_empty() && self.tables.is_empty()
    }

    /// Returns all problems, with the table of each.
    pub fn problems(&self) -> impl Iterator<Item = (Option<&TablePath>, &Problem)> {
        let tables = self.tables.iter().flat_map(|(table, problems)| {
            problems.iter().map(move |problem| (Some(table), problem))
        });
        self.store.iter().map(|problem| (None, problem)).chain(tables)
    }
}

/// A problem with stored data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of problem it is.
    pub kind: ProblemKind,
    /// The damage that was found and the action taken. File names are relative to the data folder.
    pub detail: String,
    /// How many rows cannot be served because of it; 0 if that is not known.
    pub rows: u64,
}

/// A kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// The table's rows cannot be flushed. They are served, and stay in the log until a flush
    /// succeeds.
    NotFlushed,
    /// A Parquet file was damaged or missing. Its rows are not served.
    FileLost,
    /// A copy of the table's state was damaged. The other copy was used, or the state was rebuilt
    /// from the files.
    StateDamaged,
    /// The Delta log was damaged or missing. It is rewritten from the table's state.
    DeltaLogDamaged,
    /// A part of the log was damaged and set aside.
    LogDamaged,
    /// Frames of the log are missing, or its files are not in order.
    LogIncomplete,
    /// A table's folder could not be read at all, or holds another table, and was set aside.
    TableLost,
    /// A file or folder cannot be read now, or is not understood. It stays in its place and is
    /// tried again; its content is not served.
    Unreadable,
    /// A media or artifact file is missing, or was damaged and set aside. A client that still has
    /// it can upload it again.
    MediaLost,
}

impl ProblemKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::NotFlushed,
        Self::FileLost,
        Self::StateDamaged,
        Self::DeltaLogDamaged,
        Self::LogDamaged,
        Self::LogIncomplete,
        Self::TableLost,
        Self::Unreadable,
        Self::MediaLost,
    ];

    /// Returns the kind's name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFlushed => "not_flushed",
            Self::FileLost => "file_lost",
            Self::StateDamaged => "state_damaged",
            Self::DeltaLogDamaged => "delta_log_damaged",
            Self::LogDamaged => "log_damaged",
            Self::LogIncomplete => "log_incomplete",
            Self::TableLost => "table_lost",
            Self::Unreadable => "unreadable",
            Self::MediaLost => "media_lost",
        }
    }
}

impl Problem {
    /// Creates a problem that concerns an unknown number of rows.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), rows: 0 }
    }

    /// Sets how many rows cannot be served because of the problem.
    #[must_use]
    pub fn with_rows(self, rows: u64) -> Self {
        Self { rows, ..self }
    }
}
