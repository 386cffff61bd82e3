//! Append rows from a running application, watch them live.
//!
//! Open a table, [`log`](StreamTable::log) rows to it, and open the page whose URL the first call
//! returns. `log` checks a row, writes it to the spool or a buffer, and returns. A background task
//! delivers the rows in order and retries as needed; [`finish`](StreamTable::finish) waits until
//! all are stored. No row is lost silently: [`Stats`] accounts for every row at any moment.
//!
//! ```
//! use streamtable::{StreamTable, row};
//! # use streamtable_mock_backend::MockBackend;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let transport = MockBackend::default();
//! # let builder = |name| {
//! #     StreamTable::builder(name).base_url("http://mock.invalid").api_key("local-key")
//! # };
//! let table = builder("my-team/shop/requests")?.transport(transport).open().await?;
//! table.log(row! { "path" => "/", "ms" => 7 }).await?;
//! table.log(row! { "path" => "/cart", "ms" => 12.5 }).await?;
//!
//! let stats = table.finish().await?;
//! assert_eq!((stats.logged, stats.acked), (2, 2));
//! # Ok(())
//! # }
//! ```
//!
//! The crate knows no TLS and no socket: rows travel over any
//! [`Transport`](streamtable_transport::Transport), such as `HyperTransport` of
//! `streamtable-transport-hyper`, or to any [`Backend`] of your own. [`blocking`] has the same for
//! programs without an async runtime.

pub mod blocking;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
pub mod spool;

mod backend;
mod builder;
mod clock;
mod driver;
mod encode;
mod error;
mod journal;
mod late;
mod lines;
mod media;
mod monitor;
mod rows;
mod seeded_bug;
mod session;
mod settings;
mod shared;
#[cfg(test)]
mod simulation;
mod stats;
mod table;
#[cfg(feature = "tracing-layer")]
mod tracing_layer;
mod wandb;

pub use backend::{Append, AppendError, Appended, Backend, MediaFile, Open, Opened, Upload};
pub use builder::{Builder, Rejected, WhenFull, WhenUnreachable};
pub use clock::{Clock, SystemClock};
pub use error::{FlushError, FlushFailure, LogError, OpenError, Refusal, Refused, StopReason};
pub use journal::{Journal, JournalError, MemoryJournal};
pub use lines::Lines;
pub use monitor::{AsTable, Monitor, Record};
pub use rows::{IntoRows, Rows, kind};
pub use session::{BatchLimits, RetryPolicy};
pub use settings::{Settings, SettingsError, WANDB_API};
pub use stats::{MediaStats, Recovered, Stats};
pub use table::{Logged, StreamTable};
#[cfg(feature = "tracing-layer")]
pub use tracing_layer::TableLayer;
pub use wandb::WandbBackend;

pub use streamtable_schema::{
    ColumnPolicy, Media, MediaError, MediaKind, NameError, NamePart, Row, Schema, SchemaError,
    TableName, TablePath, Timestamp, Type, Value, ValueError, row,
};
