//! Append rows from a running application, watch them live.
//!
//! Open a table, [`log`](StreamTable::log) rows to it, and open the page whose URL the first call
//! returns. `log` checks a row, writes it to the spool or a buffer, and returns. A background task
//! delivers the rows in order and retries as needed; [`finish`](StreamTable::finish) waits until
//! all are stored. No row is lost silently: [`Stats`] accounts for every row at any moment.
//!
//! ```no_run
//! use streamtable::{StreamTable, row};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let table = StreamTable::open("my-team/shop/requests").await?;
//!     table.log(row! { "path" => "/", "ms" => 7 }).await?;
//!     table.log(row! { "path" => "/cart", "ms" => 12.5 }).await?;
//!     println!("{}", table.finish().await?); // 2 logged, 2 acked, 0 pending, …
//!     Ok(())
//! }
//! ```
//!
//! A [`Table`] has rows of one type, so the compiler checks them, and its columns are known before
//! its first row. Rows travel over any [`Transport`](transport::Transport), or to any [`Backend`] of your own.
//! [`blocking`] has the same API for programs without an async runtime.
//!
//! | feature | adds |
//! | --- | --- |
//! | `derive` (default) | `#[derive(Columns)]`: the columns of a [`Table`] from a Rust type |
//! | `hyper` (default) | `StreamTable::open(name)`: the transport over hyper and rustls |
//! | `arrow-59` | results of queries as record batches of Arrow; includes `read` |
//! | `conformance` | the module `conformance`: tests for a `Backend` of your own |
//! | `chrono`, `jiff-02`, `jiff-1`, `time`, `uuid` | conversions of their times and ids to a [`Value`] |
//! | `metrics` | `publish_metrics` of a [`StreamTable`]: the accounting for the `metrics` crate |
//! | `read` | the module `read`: queries, scans and tails as streams or iterators of your own types |
//! | `sink` | `sink` of a [`StreamTable`]: a table as a `Sink` of rows |
//! | `tracing-layer` | `TableLayer`: spans and events of `tracing` as rows |
//!
//! With `default-features = false` the crate has no TLS, HTTP client or socket in its dependency
//! tree: pass a transport to [`StreamTable::open_with`].

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod blocking;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "read")]
pub mod read;
pub mod spool;

mod backend;
mod builder;
mod clock;
mod delivery;
mod driver;
mod encode;
mod error;
mod exit;
mod journal;
mod lazy_backend;
mod lines;
mod media;
#[cfg(feature = "metrics")]
mod metrics;
mod monitor;
mod notebook;
mod open;
mod options;
mod receipt;
mod rows;
mod seeded_bug;
mod session;
mod settings;
mod shared;
#[cfg(test)]
mod simulation;
#[cfg(feature = "sink")]
mod sink;
mod stats;
mod table;
#[cfg(test)]
mod test_backend;
#[cfg(feature = "tracing-layer")]
mod tracing_layer;
mod typed;
mod wandb;
mod watch;

pub use backend::{Append, AppendError, Appended, Backend, MediaFile, Open, Opened, Upload};
pub use builder::Builder;
pub use clock::{Clock, SystemClock};
pub use error::{FlushError, FlushFailure, LogError, OpenError, Refusal, Refused, StopReason};
pub use lines::Lines;
pub use monitor::{AsTable, Monitor, Record};
pub use options::{Buffering, Rejected, RejectedMedia, WhenFull, WhenStopped, WhenUnreachable};
pub use receipt::NotStored;
pub use rows::{IntoRows, Rows, kind};
pub use session::{BatchLimits, RetryPolicy};
pub use settings::{DEFAULT_PROJECT, LOCAL_API, Settings, SettingsError, WANDB_API};
#[cfg(feature = "sink")]
pub use sink::{RowSink, SinkError};
pub use stats::{MediaStats, Recovered, Stats};
pub use table::{Logged, StreamTable};
#[cfg(feature = "tracing-layer")]
pub use tracing_layer::TableLayer;
pub use typed::Table;
pub use wandb::WandbBackend;
pub use watch::{Appends, Status, Watch};

#[doc(hidden)]
pub use streamtable_schema::derive;

pub use async_trait::async_trait;
pub use streamtable_wire::HistoryLine;

/// Transports: how requests reach a server.
pub mod transport {
    pub use streamtable_transport::*;
    #[cfg(feature = "hyper")]
    pub use streamtable_transport_hyper::HyperTransport;
}

pub use streamtable_schema::{
    Column, ColumnPolicy, ColumnType, Columns, Media, MediaError, MediaKind, NameError, NamePart,
    Row, Schema, SchemaError, TableName, TablePath, Timestamp, Type, Value, ValueError, row,
    timestamp,
};
