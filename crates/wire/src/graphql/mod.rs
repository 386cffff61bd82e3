//! The control requests: GraphQL operations with their documents, variables and responses (protocol
//! notes §5).
//!
//! The documents are StreamTable's own. A document with several changes lists them as fields of one
//! mutation, which GraphQL executes in order. Opening a table therefore needs only as many requests
//! as there are ids that one response must pass to the next request.

mod operations;
#[cfg(test)]
mod tests;

use http::Response;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::NotAnAck;
use crate::ack::success_body;
use crate::json::object_from_slice;

pub use operations::*;

/// Maximum length of the reason in an error about an unreadable response.
const MAX_REASON_CHARS: usize = 200;

/// A GraphQL operation. The value holds the variables; the type holds the rest.
pub trait Operation: Serialize + DeserializeOwned {
    /// The operation's name, as in its document.
    const NAME: &'static str;
    /// The document.
    const DOCUMENT: &'static str;
    /// The type of the response's `data`.
    type Answer: Serialize + DeserializeOwned;
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutgoingRequest<'a, O> {
    operation_name: &'a str,
    query: &'a str,
    variables: &'a O,
}

/// A request to the GraphQL endpoint whose operation is not yet known.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphqlRequest {
    /// The operation's name. Legacy clients omit it.
    #[serde(default)]
    pub operation_name: Option<String>,
    /// The document.
    pub query: String,
    /// The variables.
    #[serde(default)]
    pub variables: Option<Box<serde_json::value::RawValue>>,
}

impl GraphqlRequest {
    /// Parses the body of a request.
    pub fn parse(body: &[u8]) -> serde_json::Result<Self> {
        object_from_slice(body)
    }

    /// Parses the variables if the request has exactly the document that [`request_body`] writes
    /// for this operation.
    ///
    /// Returns `None` for any other document. Returns an error if the variables do not match the
    /// operation.
    pub fn variables_of<O: Operation>(&self) -> Option<serde_json::Result<O>> {
        if self.operation_name.as_deref() != Some(O::NAME) || self.query != O::DOCUMENT {
            return None;
        }
        Some(serde_json::from_str(self.variables.as_ref().map_or("{}", |raw| raw.get())))
    }
}

/// Writes the body of a request.
pub fn request_body<O: Operation>(variables: &O) -> Vec<u8> {
    let request = OutgoingRequest { operation_name: O::NAME, query: O::DOCUMENT, variables };
    serde_json::to_vec(&request).expect("writing strings and numbers to a vector cannot fail")
}

/// Writes the body of a response.
pub fn answer_body<O: Operation>(answer: &O::Answer) -> Vec<u8> {
    #[derive(Serialize)]
    struct Data<'a, A> {
        data: &'a A,
    }
    serde_json::to_vec(&Data { data: answer }).expect("writing a response to a vector cannot fail")
}

/// Parses the body of a response.
pub fn parse_answer<O: Operation>(body: &[u8]) -> Result<O::Answer, GraphqlError> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(default, borrow)]
        data: Option<&'a serde_json::value::RawValue>,
        #[serde(default)]
        errors: Option<Vec<ErrorEntry>>,
    }
    let unreadable = |e: serde_json::Error| GraphqlError::Unreadable {
        // The message may quote the response, so its length is limited.
        reason: e.to_string().chars().take(MAX_REASON_CHARS).collect(),
    };
    let envelope: Envelope<'_> = object_from_slice(body).map_err(unreadable)?;
    let messages: Vec<String> =
        envelope.errors.into_iter().flatten().map(ErrorEntry::into_message).collect();
    if !messages.is_empty() {
        return Err(GraphqlError::Refused { messages });
    }
    let data = envelope.data.map_or("null", |data| data.get());
    object_from_slice(data.as_bytes()).map_err(unreadable)
}

/// Parses an answer with its status: one that is not a success of a GraphQL server is
/// [`GraphqlError::NotAnAck`].
pub fn acked_answer<O: Operation, B: AsRef<[u8]>>(
    answer: &Response<B>,
) -> Result<O::Answer, GraphqlError> {
    parse_answer::<O>(success_body(answer)?).map_err(|error| match error {
        GraphqlError::Unreadable { reason } => NotAnAck::new(answer, reason).into(),
        error => error,
    })
}

/// Returns the messages of an error response, `{"errors": [{"message"}]}`; empty for any other
/// body.
pub fn error_messages(body: &[u8]) -> Vec<String> {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<ErrorEntry>,
    }
    let errors: Result<Errors, _> = object_from_slice(body);
    errors
        .map_or(Vec::new(), |body| body.errors.into_iter().map(ErrorEntry::into_message).collect())
}

/// Writes an error response. Clients read it for every status other than 200, and inside 200 too.
pub fn error_body(message: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Errors<'a> {
        errors: [ErrorMessage<'a>; 1],
    }
    #[derive(Serialize)]
    struct ErrorMessage<'a> {
        message: &'a str,
    }
    let body = Errors { errors: [ErrorMessage { message }] };
    serde_json::to_vec(&body).expect("writing a string to a vector cannot fail")
}

/// An entry of an error list: an object with a message, or a plain string.
#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorEntry {
    Object { message: String },
    Text(String),
    Other(serde::de::IgnoredAny),
}

impl ErrorEntry {
    fn into_message(self) -> String {
        match self {
            Self::Object { message } | Self::Text(message) => message,
            Self::Other(_) => "an error without a message".to_owned(),
        }
    }
}

/// The reason why a response contains no data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphqlError {
    /// The server refused the operation.
    #[error("the server refused: {}", messages.join("; "))]
    Refused {
        /// The server's messages.
        messages: Vec<String>,
    },
    /// The response does not match the operation.
    #[error("cannot read the response: {reason}")]
    Unreadable {
        /// The reason.
        reason: String,
    },
    /// The answer is not from a GraphQL server, or not whole.
    #[error(transparent)]
    NotAnAck(#[from] NotAnAck),
}
