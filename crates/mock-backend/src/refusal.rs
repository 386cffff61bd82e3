use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use streamtable_wire::graphql::error_body;

/// Why a request is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    /// Whether a correct client never sends such a request, whatever the server's state.
    pub(crate) is_violation: bool,
}

impl Refusal {
    /// Refuses a violation of the protocol.
    pub(crate) fn violation(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), is_violation: true }
    }

    /// Refuses a violation of the protocol that has no specific status.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::violation(StatusCode::BAD_REQUEST, message)
    }

    /// Refuses a request that a correct client may send.
    pub(crate) fn plain(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), is_violation: false }
    }

    pub(crate) fn to_response(&self) -> Response<Bytes> {
        error_response(self.status, &self.message)
    }
}

/// Responds with a list of errors, which every client of the protocol can parse.
pub(crate) fn error_response(status: StatusCode, message: &str) -> Response<Bytes> {
    json_response(status, error_body(message))
}

pub(crate) fn json_response(status: StatusCode, body: Vec<u8>) -> Response<Bytes> {
    response(status, "application/json", body.into())
}

pub(crate) fn response(
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
