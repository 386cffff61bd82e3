//! Why a store did not do what it was asked.

use streamtable_schema::TablePath;

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Rows cannot be made durable now; the same call may succeed later. Nothing of the batch is
    /// stored.
    #[error("rows cannot be stored now: {reason}")]
    Unavailable {
        /// What the system said.
        reason: String,
    },
    /// There is no such table, or the caller may not see it.
    #[error("no table {table}")]
    NoTable {
        /// The table.
        table: TablePath,
    },
    /// The query is not one that the store answers.
    #[error("{message}")]
    Query {
        /// What is wrong with it, for its author.
        message: String,
    },
    /// The query took more time or memory than it may.
    #[error("{message}")]
    Limit {
        /// Which limit, and how to stay below it.
        message: String,
    },
    /// What was stored cannot be read.
    #[error("{reason}")]
    Damaged {
        /// What, and where it lies now.
        reason: String,
    },
    /// The system failed.
    #[error("{reason}")]
    Io {
        /// What it said.
        reason: String,
    },
}

impl StoreError {
    /// Tells whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::NoTable { .. }
            | Self::Query { .. }
            | Self::Limit { .. }
            | Self::Damaged { .. }
            | Self::Io { .. } => false,
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::Io { reason: error.to_string() }
    }
}
