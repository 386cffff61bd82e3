//! Errors of a page's requests.

use streamtable_store::StoreError;

use crate::ApiError;

/// Why a page's request failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LiveError {
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
