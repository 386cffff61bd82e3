//! Errors of a page's requests.

use streamtable_store::StoreError;

/// Why a page's request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// The request is invalid, or exceeds a limit.
    #[error("{message}")]
    Refused {
        /// The reason, for people.
        message: String,
    },
    /// The view does not exist, or was deleted.
    #[error("there is no such view")]
    NoView,
    /// The store failed.
    #[error("{message}")]
    Failed {
        /// The store's message.
        message: String,
    },
}

impl LiveError {
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::Refused { message: message.into() }
    }

    pub(crate) fn no_column(name: &str) -> Self {
        Self::refused(format!("there is no column {name:?}"))
    }
}

impl From<StoreError> for LiveError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Query { .. } | StoreError::Limit { .. } | StoreError::NoTable { .. } => {
                Self::Refused { message }
            }
            StoreError::Unavailable { .. }
            | StoreError::LineNumber(_)
            | StoreError::Engine { .. } => Self::Failed { message },
            // The system's errors contain paths of the data folder, so they are only logged.
            _ => {
                tracing::error!(%error, "the store failed");
                let message = "the server cannot read its stored data; see the server's log";
                Self::Failed { message: message.to_owned() }
            }
        }
    }
}

impl From<arrow::error::ArrowError> for LiveError {
    fn from(error: arrow::error::ArrowError) -> Self {
        tracing::error!(%error, "a live view failed");
        Self::Failed { message: error.to_string() }
    }
}
