//! The control requests: GraphQL operations, each a document with its variables and its answer
//! (protocol notes §5).
//!
//! The documents are our own. One that makes several changes lists them as fields of one mutation,
//! which GraphQL carries out in their order; so opening a table takes as few requests as the ids
//! that one answer gives to the next allow.

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

/// How much of what is wrong with an answer is told.
const MAX_REASON_CHARS: usize = 200;

/// An operation: its variables are the value, the rest is the type.
pub trait Operation: Serialize + DeserializeOwned {
    /// The operation's name, as in its document.
    const NAME: &'static str;
    /// The document.
    const DOCUMENT: &'static str;
    /// What the server answers under `data`.
    type Answer: Serialize + DeserializeOwned;
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutgoingRequest<'a, O> {
    operation_name: &'a str,
    query: &'a str,
    variables: &'a O,
}

/// A request to the GraphQL endpoint whose operation is not known yet.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphqlRequest {
    /// The operation's name. Legacy clients leave it out.
    #[serde(default)]
    pub operation_name: Option<String>,
    /// The document.
    pub query: String,
    /// The variables.
    #[serde(default)]
    pub variables: Option<Box<serde_json::value::RawValue>>,
}

impl GraphqlRequest {
    /// Reads the body of a request.
    pub fn parse(body: &[u8]) -> serde_json::Result<Self> {
        object_from_slice(body)
    }

    /// Reads the variables, if the request is for this operation with the very document that
    /// [`request_body`] writes.
    ///
    /// Returns `None` for another operation; variables that are not exactly the operation's are an
    /// error.
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
    serde_json::to_vec(&request).expect("texts and numbers serialize into a vector")
}

/// Writes the body of an answer.
pub fn answer_body<O: Operation>(answer: &O::Answer) -> Vec<u8> {
    #[derive(Serialize)]
    struct Data<'a, A> {
        data: &'a A,
    }
    serde_json::to_vec(&Data { data: answer }).expect("an answer serializes into a vector")
}

/// Reads the body of an answer.
pub fn parse_answer<O: Operation>(body: &[u8]) -> Result<O::Answer, GraphqlError> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(default, borrow)]
        data: Option<&'a serde_json::value::RawValue>,
        #[serde(default)]
        errors: Option<Vec<ErrorEntry>>,
    }
    let unreadable = |e: serde_json::Error| GraphqlError::Unreadable {
        // It may quote the answer.
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

/// Reads the messages of an error answer, `{"errors": [{"message"}]}`; none for any other body.
pub fn error_messages(body: &[u8]) -> Vec<String> {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<ErrorEntry>,
    }
    let errors: Result<Errors, _> = object_from_slice(body);
    errors
        .map_or(Vec::new(), |body| body.errors.into_iter().map(ErrorEntry::into_message).collect())
}

/// Writes an error answer, which clients read for every status but 200, and inside 200 too.
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
    serde_json::to_vec(&body).expect("a text serializes into a vector")
}

/// An entry of an error list: an object with a message, or just the message.
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

/// Why an answer gives no data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphqlError {
    /// The server refused the operation.
    #[error("the server refused: {}", messages.join("; "))]
    Refused {
        /// What it said.
        messages: Vec<String>,
    },
    /// The answer is not what the operation asks for.
    #[error("the answer cannot be read: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// The answer is not from a GraphQL server, or not whole.
    #[error(transparent)]
    NotAnAck(#[from] NotAnAck),
}
