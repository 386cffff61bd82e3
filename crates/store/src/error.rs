//! Why a store did not do what it was asked.

use streamtable_schema::TablePath;
use tokio::task::JoinError;

use crate::LineNumberError;

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
    /// A line of the batch has a number that no line can have. Nothing of the batch is stored.
    #[error(transparent)]
    LineNumber(#[from] LineNumberError),
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
            Self::LineNumber(_)
            | Self::NoTable { .. }
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

impl From<JoinError> for StoreError {
    /// Converts the end of a task that panicked or was cancelled.
    ///
    /// The text of a panic may quote rows of any caller, so it goes to the log and not into the
    /// error.
    fn from(error: JoinError) -> Self {
        tracing::error!(%error, "a task of the store did not finish");
        Self::Io { reason: "the store failed to do its work".to_owned() }
    }
}
