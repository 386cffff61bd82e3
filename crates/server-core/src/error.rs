//! Error responses.
//!
//! Every error that a client receives is made here, including those of the stores. Errors of the
//! operating system contain paths, so they are only logged.

use std::time::Duration;

use axum::Json;
use axum::http::{
    HeaderValue, StatusCode,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
};
use axum::response::{IntoResponse, Response};
use streamtable_store::StoreError;

use crate::CatalogError;

/// An error response: a status and a message, in the form that W&B clients parse,
/// `{"errors":[{"message":"…"}]}`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {message}")]
pub struct ApiError {
    status: StatusCode,
    message: String,
    retry_after: Option<Duration>,
}

impl ApiError {
    /// Creates an error. Use [`busy`](Self::busy) if a retry may succeed: clients of the protocol
    /// never retry after a 4xx.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None }
    }

    /// Creates an error for an invalid request.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Creates an error for an object that does not exist, or that the caller may not see.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// Creates an error for a server that is overloaded or cannot store rows now. A retry of the
    /// same request may succeed later.
    pub fn busy(message: impl Into<String>, retry_after: Duration) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            message: message.into(),
            retry_after: Some(retry_after),
        }
    }

    /// Returns the message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Appends to the message.
    #[must_use]
    pub fn with_note(mut self, note: &str) -> Self {
        self.message = format!("{}; {note}", self.message);
        self
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Unavailable { .. } | StoreError::Unreachable { .. } => {
                Self::busy(message, Duration::from_secs(1))
            }
            StoreError::NoTable { .. } => Self::not_found(message),
            StoreError::Query { .. } | StoreError::LineNumber(_) => Self::bad_request(message),
            // The engine panics for arguments out of range that it does not check: a repetition
            // fails in the same way.
            StoreError::Limit { .. } | StoreError::Engine { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
            }
            // The system's errors contain paths of the data folder, so they are only logged.
            _ => {
                tracing::error!(%error, "the store failed");
                let message = "the server cannot read its stored data; see the server's log";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
            }
        }
    }
}

impl From<CatalogError> for ApiError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Unavailable { .. } => {
                tracing::warn!(%error, "the catalog is unavailable");
                Self::busy("the catalog is unavailable", Duration::from_secs(1))
            }
            CatalogError::Refused { message } => Self::bad_request(message),
            CatalogError::Newer { .. }
            | CatalogError::Damaged { .. }
            | CatalogError::Lost { .. }
            | CatalogError::Failed { .. } => {
                tracing::error!(%error, "the catalog failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed")
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "errors": [{ "message": self.message }] });
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            // Not Basic: a browser would show its own password dialog.
            let how = HeaderValue::from_static("Bearer realm=\"streamtable\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, how);
        }
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs().max(1);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_the_query_engine_are_named() {
        let reason = "the query engine failed on this query".to_owned();
        let error = ApiError::from(StoreError::Engine { reason: reason.clone() });
        assert_eq!((error.status, error.message), (StatusCode::UNPROCESSABLE_ENTITY, reason));
        let path = "/data/store/log".to_owned();
        let error = ApiError::from(StoreError::Io { reason: path.clone() });
        assert!(!error.message.contains(&path), "{}", error.message);
    }
}
