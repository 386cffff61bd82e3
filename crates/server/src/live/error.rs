//! Why a page was not told what it asked.

use streamtable_store::StoreError;

use crate::ApiError;

/// Why a page was not told what it asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LiveError {
    /// What it asks makes no sense, or is too much.
    #[error("{message}")]
    Refused {
        /// Why, for people.
        message: String,
    },
    /// There is no such view, or it was deleted in the meantime.
    #[error("there is no such view")]
    NoView,
    /// The store failed.
    #[error("{message}")]
    Failed {
        /// What it said.
        message: String,
    },
}

impl LiveError {
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::Refused { message: message.into() }
    }

    pub(super) fn no_column(name: &str) -> Self {
        Self::refused(format!("there is no column {name:?}"))
    }
}

impl From<StoreError> for LiveError {
    fn from(error: StoreError) -> Self {
        let is_refusal = matches!(
            error,
            StoreError::Query { .. } | StoreError::Limit { .. } | StoreError::NoTable { .. }
        );
        let message = ApiError::from(error).message().to_owned();
        if is_refusal { Self::Refused { message } } else { Self::Failed { message } }
    }
}

impl From<arrow::error::ArrowError> for LiveError {
    fn from(error: arrow::error::ArrowError) -> Self {
        tracing::error!(%error, "a live view failed");
        Self::Failed { message: error.to_string() }
    }
}
