//! A strict W&B-compatible backend in memory, with faults to inject and a conformance suite.
//!
//! [`MockBackend`] is a [`Transport`](streamtable_transport::Transport): a client that is given it
//! speaks to a backend without a socket. It decodes with the same code the client encodes with,
//! keeps real state (tables, rows, artifacts, files), refuses what the protocol does not allow and
//! notes it in [`violations`](MockBackend::violations). A [`FaultPlan`] says which requests suffer
//! which [`Fault`]; the [`journal`](MockBackend::journal) says what came. [`conformance`] is the
//! suite that any backend must pass, this one included.
//!
//! It stores nothing on disk, knows no async runtime and, without the feature `serve`, no socket.
//!
//! ```
//! use bytes::Bytes;
//! use http::Request;
//! use streamtable_mock_backend::{Fault, Loss, MockBackend, RequestKind};
//! use streamtable_schema::{TablePath, row};
//! use streamtable_transport::{ApiKey, Transport, TransportExt};
//! use streamtable_wire::{ASYNC_HEADER, file_stream_path, history_body};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use futures_util::FutureExt;
//! # let block_on = |answer: std::pin::Pin<Box<dyn Future<Output = _> + Send>>| {
//! #     answer.now_or_never().expect("the mock is ready")
//! # };
//! let mock = MockBackend::default();
//! let table: TablePath = "me/shop/requests".parse()?;
//! mock.add_table(&table);
//! mock.push_fault(RequestKind::FileStream, Fault::LoseAnswer(Loss::Timeout))?;
//!
//! let transport = mock.clone().with_auth(mock.base_url().parse()?, &ApiKey::new("any-key")?);
//! let post = Request::post(format!("{}{}", mock.base_url(), file_stream_path(&table)))
//!     .header("content-type", "application/json")
//!     .header(ASYNC_HEADER, "true")
//!     .body(Bytes::from(history_body(0, [r#"{"path":"/","_client_id":"w"}"#])))?;
//!
//! // The answer is lost, the row is not; and sent again, it is still one row.
//! assert!(block_on(transport.send(post.clone())).is_err());
//! assert!(block_on(transport.send(post)).is_ok());
//! assert_eq!(mock.rows(&table)[0].row, row! { "path" => "/" });
//! assert_eq!((mock.rows(&table).len(), mock.count(RequestKind::FileStream)), (1, 2));
//! mock.assert_no_violations();
//! # Ok(())
//! # }
//! ```

mod artifact;
mod auth;
mod body;
mod config;
pub mod conformance;
mod exchange;
mod fault;
mod file_stream;
mod graphql;
mod journal;
mod mock;
mod plan;
mod png;
mod read;
mod refusal;
mod route;
mod run;
#[cfg(feature = "serve")]
mod serve;
mod state;
#[cfg(feature = "strategies")]
pub mod strategies;
#[cfg(test)]
mod tests;
mod upload;

pub use config::{MockConfig, NoTimer};
pub use fault::{Fault, Loss, NoAck, NotAFault};
pub use journal::{Arrival, RequestKind};
pub use mock::MockBackend;
pub use plan::{FaultPlan, PlannedFault, Select};
pub use png::png;
pub use run::StoredLine;
#[cfg(feature = "serve")]
pub use serve::{Served, SleepTimer};
