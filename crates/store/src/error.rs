//! The errors of a store.

use streamtable_schema::TablePath;
use tokio::task::JoinError;

use crate::LineNumberError;

/// The error of a store's operation.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Rows cannot be made durable now; a retry may succeed. Nothing of the batch is stored.
    #[error("rows cannot be stored now: {reason}")]
    Unavailable {
        /// The system's error.
        reason: String,
    },
    /// Stored rows cannot be reached now; a retry may succeed. This says nothing about the rows.
    #[error("stored rows cannot be read now: {reason}")]
    Unreachable {
        /// What does not answer, and its error.
        reason: String,
    },
    /// A line of the batch has an invalid number. Nothing of the batch is stored.
    #[error(transparent)]
    LineNumber(#[from] LineNumberError),
    /// The table does not exist, or the caller may not see it.
    #[error("no table {table}")]
    NoTable {
        /// The table.
        table: TablePath,
    },
    /// The store cannot answer the query as it is written.
    #[error("{message}")]
    Query {
        /// The error in the query, for its author.
        message: String,
    },
    /// The query exceeded its time or memory limit.
    #[error("{message}")]
    Limit {
        /// Which limit, and how to stay below it.
        message: String,
    },
    /// Stored data cannot be read.
    #[error("{reason}")]
    Damaged {
        /// What cannot be read, and where it is now.
        reason: String,
    },
    /// The query engine has a fault that this query shows; stored data is not affected.
    #[error("{reason}")]
    Engine {
        /// What failed.
        reason: String,
    },
    /// The system failed.
    #[error("{reason}")]
    Io {
        /// The system's error.
        reason: String,
    },
}

impl StoreError {
    /// Returns whether a retry may succeed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Unreachable { .. } => true,
            Self::LineNumber(_)
            | Self::NoTable { .. }
            | Self::Query { .. }
            | Self::Limit { .. }
            | Self::Damaged { .. }
            | Self::Engine { .. }
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
    /// Converts the error of a task that panicked or was cancelled.
    ///
    /// The text of a panic may quote rows of any caller, so it goes to the log and not into the
    /// error.
    fn from(error: JoinError) -> Self {
        tracing::error!(%error, "a task of the store did not finish");
        Self::Io { reason: "the store failed to do its work".to_owned() }
    }
}
