//! A strict W&B-compatible backend in memory, with faults to inject and a conformance suite.
//!
//! [`MockBackend`] is a [`Transport`](streamtable_transport::Transport): a client that uses it talks
//! to a backend without a socket. It decodes requests with the code that the client encodes them
//! with, keeps real state (tables, rows, artifacts, files), refuses requests that the protocol does
//! not allow, and records them in [`violations`](MockBackend::violations). A [`FaultPlan`] injects
//! [`Fault`]s into selected requests, and the [`journal`](MockBackend::journal) lists all requests.
//! It also has the native API by which tables are read; the results of queries are set with
//! [`add_query`](MockBackend::add_query). [`conformance`] is the suite that any backend must pass, including this one.
//!
//! It stores nothing on disk, needs no async runtime and, without the feature `serve`, no socket.
//!
//! ```
//! use bytes::Bytes;
//! use futures_util::FutureExt;
//! use http::Request;
//! use streamtable_mock_backend::{Fault, Loss, MockBackend, RequestKind};
//! use streamtable_schema::{TablePath, row};
//! use streamtable_transport::{ApiKey, Transport, TransportExt};
//! use streamtable_wire::{ASYNC_HEADER, file_stream_path, history_body};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mock = MockBackend::default();
//!     let table: TablePath = "me/shop/requests".parse()?;
//!     mock.add_table(&table);
//!     mock.push_fault(RequestKind::FileStream, Fault::LoseAnswer(Loss::Timeout))?;
//!
//!     let key = ApiKey::new("any-key")?;
//!     let transport = mock.clone().with_auth(mock.base_url().parse()?, &key);
//!     let post = Request::post(format!("{}{}", mock.base_url(), file_stream_path(&table)))
//!         .header("content-type", "application/json")
//!         .header(ASYNC_HEADER, "true")
//!         .body(Bytes::from(history_body(0, [r#"{"path":"/","_client_id":"w"}"#])))?;
//!
//!     // The response is lost, but the row is stored; a retry does not store it twice.
//!     let lost = transport.send(post.clone()).now_or_never().expect("the mock responds at once");
//!     assert!(lost.is_err());
//!     let again = transport.send(post).now_or_never().expect("the mock responds at once");
//!     assert!(again.is_ok());
//!     assert_eq!(mock.rows(&table)[0].row, row! { "path" => "/" });
//!     assert_eq!((mock.rows(&table).len(), mock.count(RequestKind::FileStream)), (1, 2));
//!     mock.assert_no_violations();
//!     Ok(())
//! }
//! ```
//!
//! [`strategies`](https://docs.rs/streamtable-mock-backend/latest/streamtable_mock_backend/strategies/)
//! (feature `strategies`) shows a complete property test.
//!
//! | feature | adds |
//! | --- | --- |
//! | `serve` | `MockBackend::serve`: the mock on a loopback socket |
//! | `strategies` | the module `strategies`: proptest strategies for clients |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod api;
mod artifact;
mod auth;
mod binary_rows;
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
