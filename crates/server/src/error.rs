//! Answers that say no.
//!
//! Every error that a client gets is made here, from the errors of the stores too. Errors of the
//! system contain paths, so they go to the log only.

use std::time::Duration;

use axum::Json;
use axum::http::{
    HeaderValue, StatusCode,
    header::{RETRY_AFTER, WWW_AUTHENTICATE},
};
use axum::response::{IntoResponse, Response};
use streamtable_store::StoreError;

use crate::catalog::CatalogError;

/// An answer that says no: a status and a sentence, in the form that W&B clients read,
/// `{"errors":[{"message":"…"}]}`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {message}")]
pub struct ApiError {
    status: StatusCode,
    message: String,
    retry_after: Option<Duration>,
}

impl ApiError {
    /// Makes one. For what may pass with time use [`busy`](Self::busy): clients of the protocol give
    /// up for good on a 4xx.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None }
    }

    /// The request is not one that makes sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// There is no such thing, or the caller may not know of it.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// The server has too much to do, or cannot store rows now; the same request may succeed later.
    pub fn busy(message: impl Into<String>, retry_after: Duration) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            message: message.into(),
            retry_after: Some(retry_after),
        }
    }

    /// Returns the sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Says more behind what it says.
    #[must_use]
    pub(crate) fn with_note(mut self, note: &str) -> Self {
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
            StoreError::Unavailable { .. } => Self::busy(message, Duration::from_secs(1)),
            StoreError::NoTable { .. } => Self::not_found(message),
            StoreError::Query { .. } | StoreError::LineNumber(_) => Self::bad_request(message),
            StoreError::Limit { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, message),
            // The system's errors contain paths of the data folder: they are for the log only.
            _ => {
                tracing::error!(%error, "the store failed");
                let message = "the server cannot read what it stored; its log says why";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
            }
        }
    }
}

impl From<CatalogError> for ApiError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Unavailable { .. } => {
                tracing::warn!(%error, "the catalog cannot be used");
                Self::busy("the catalog cannot be used now", Duration::from_secs(1))
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
            // Not Basic, for which a browser would open a dialogue of its own.
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
