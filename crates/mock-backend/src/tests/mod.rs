//! Tests of what the mock accepts, refuses and breaks.

mod faults;
mod files;
mod graphql;
mod http;
mod posts;
#[cfg(feature = "serve")]
mod served;
mod suite;

use ::http::{Method, Request, StatusCode};
use bytes::Bytes;
use futures_util::FutureExt;
use streamtable_schema::TablePath;
use streamtable_transport::{Transport, TransportError};
use streamtable_wire::graphql::{Operation, error_messages, parse_answer, request_body};
use streamtable_wire::{ASYNC_HEADER, GRAPHQL_PATH, file_stream_path};

use crate::{MockBackend, MockConfig};

/// `Basic base64("api:key")`.
const AUTHORIZATION: (&str, &str) = ("authorization", "Basic YXBpOmtleQ==");
const JSON: (&str, &str) = ("content-type", "application/json");
const ASYNC: (&str, &str) = (ASYNC_HEADER, "true");

/// Runs a future that must be ready at once.
fn ready<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("the future waits for something")
}

/// The result of a request: the status, and the response's body or the error message.
type Answered = Result<(StatusCode, Bytes), TransportError>;

/// A mock with one table and a client.
struct Bench {
    mock: MockBackend,
    table: TablePath,
}

impl Bench {
    fn new() -> Self {
        Self::with(MockConfig::default())
    }

    fn with(config: MockConfig) -> Self {
        let bench = Self::empty(config);
        bench.mock.add_table(&bench.table);
        bench
    }

    /// Creates a bench whose table does not exist yet.
    fn empty(config: MockConfig) -> Self {
        let table = "me/shop/requests".parse().unwrap();
        Self { mock: MockBackend::new(config).unwrap(), table }
    }

    fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answered {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = ready(self.mock.send(request.body(body.into()).unwrap()))?;
        Ok((answer.status(), answer.into_body()))
    }

    fn local(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answered {
        self.send(method, &format!("{}{path}", self.mock.base_url()), headers, body)
    }

    /// Posts to the table's file stream; `headers` are added to the required ones.
    fn post(&self, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answered {
        let headers = [&[AUTHORIZATION, JSON], headers].concat();
        self.local(Method::POST, &file_stream_path(&self.table), &headers, body)
    }

    /// Posts rows, starting at line `offset`.
    fn post_rows(&self, offset: u64, lines: &[&str]) -> Answered {
        self.post(&[ASYNC], streamtable_wire::history_body(offset, lines))
    }

    fn post_graphql(&self, body: impl Into<Bytes>) -> Answered {
        self.local(Method::POST, GRAPHQL_PATH, &[AUTHORIZATION, JSON], body)
    }

    /// Executes an operation that succeeds.
    #[track_caller]
    fn ask<O: Operation>(&self, operation: &O) -> O::Answer {
        let (_, body) = self.post_graphql(request_body(operation)).unwrap();
        parse_answer::<O>(&body).unwrap()
    }

    /// Checks that a request was refused as a violation, with this message.
    #[track_caller]
    fn expect_violation(&self, answered: Answered, status: u16, message: &str) {
        self.expect_refusal(answered, status, message);
        let violations = self.mock.violations();
        let [violation] = &violations[..] else { panic!("violations: {violations:?}") };
        assert!(violation.contains(message), "{violation:?} does not say {message:?}");
    }

    #[track_caller]
    fn expect_refusal(&self, answered: Answered, status: u16, message: &str) {
        let (found, body) = answered.unwrap();
        let messages = error_messages(&body);
        assert_eq!(found.as_u16(), status, "{messages:?}");
        let [error] = &messages[..] else { panic!("errors: {messages:?}") };
        assert!(error.contains(message), "{error:?} does not say {message:?}");
    }

    fn texts(&self) -> Vec<String> {
        self.mock.lines(&self.table).into_iter().map(|line| line.text).collect()
    }
}
