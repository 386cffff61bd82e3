//! Reading rows: SQL queries, scans and tails as streams of your own types.
//!
//! A [`Reader`] reads from a StreamTable server, over any
//! [`Transport`]. Rows are deserialized as any type that implements
//! serde's `Deserialize`, or as a [`Row`](crate::Row). A row that does not fit is an error that names
//! the row, the column and the value.
//!
//! ```no_run
//! use serde::Deserialize;
//! use streamtable::read::Reader;
//!
//! #[derive(Debug, Deserialize)]
//! struct Slowest {
//!     path: String,
//!     ms: f64,
//! }
//!
//! #[derive(Debug, Deserialize)]
//! struct Request {
//!     path: String,
//!     user: Option<u64>,
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let reader = Reader::from_env()?;
//!
//!     let sql = "select path, max(ms) as ms from me.shop.requests group by path";
//!     for Slowest { path, ms } in reader.query(sql).rows().await?.all().await? {
//!         println!("{path}: {ms} ms");
//!     }
//!
//!     let requests: Vec<Request> = reader.scan("me/shop/requests").rows().await?.all().await?;
//!     println!("{} requests", requests.len());
//!
//!     let mut tail = reader.tail("me/shop/requests").last(10).rows::<Request>().await?;
//!     while let Some(request) = tail.next().await {
//!         println!("{:?}", request?);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! The rows of scans and tails have the cells `_position`, `_writer`, `_line` and `timestamp` before
//! their own. A type that does not have these fields ignores them.
//!
//! | a cell holds | it is read as |
//! | --- | --- |
//! | `bool`, `int`, `float`, `string` | `bool`, integers, `f64`, `String`; an int also as `f64` |
//! | `timestamp` | [`Timestamp`](crate::Timestamp), times of other crates, `String` (RFC 3339 in UTC) |
//! | list, struct | `Vec`, tuples; structs, maps |
//! | media | a struct with `_type`, `path`, `format` and others |
//! | null | `Option` |
//! | any | [`Value`](crate::Value), in which times are strings |
//!
//! A program without an async runtime calls `rows_blocking` instead of `rows`, and gets an iterator:
//! [`Items`]. With the feature `arrow-59`, `Query::batches` returns the result of a query as record
//! batches of Arrow, column by column.

#[cfg(feature = "arrow-59")]
mod arrow;
mod blocking;
mod cells;
mod error;
mod lines;
mod query;
mod rows;
mod server;
mod table;

#[cfg(feature = "arrow-59")]
pub use arrow::Batches;
#[cfg(feature = "arrow-59")]
pub use arrow_array;
pub use blocking::Items;
pub use cells::{CellError, CellProblem};
pub use error::ReadError;
pub use query::Query;
pub use rows::Rows;
pub use table::{Scan, Tail};

use streamtable_transport::Transport;

use crate::{OpenError, Settings};
use server::Server;

/// Reads rows from a StreamTable server. Cheap to clone.
///
/// ```
/// use serde::Deserialize;
/// use streamtable::read::Reader;
/// use streamtable::{Settings, StreamTable, row};
/// use streamtable_mock_backend::MockBackend;
///
/// #[derive(Debug, Deserialize, PartialEq)]
/// struct Request {
///     path: String,
///     ms: Option<f64>,
/// }
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let server = MockBackend::default(); // without it, `Reader::from_env()`
///     let settings = Settings {
///         base_url: server.base_url().to_owned(),
///         api_key: Some("local-key".parse()?),
///         ..Settings::default()
///     };
///     let table = StreamTable::builder("me/shop/requests")
///         .settings(settings.clone())
///         .transport(server.clone())
///         .open()
///         .await?;
///     table.log(row! { "path" => "/", "ms" => 7 }).await?;
///     table.log(row! { "path" => "/cart", "ms" => "fast" }).await?;
///     table.finish().await?;
///
///     let reader = Reader::new(server, settings)?;
///     let mut rows = reader.scan("me/shop/requests").rows::<Request>().await?;
///     let first = rows.next().await.transpose()?;
///     assert_eq!(first, Some(Request { path: "/".to_owned(), ms: Some(7.0) }));
///
///     let error = rows.next().await.transpose().unwrap_err();
///     assert_eq!(error.to_string(), r#"row 1: column "ms" is string "fast", expected f64"#);
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Reader {
    server: Server,
}

impl Reader {
    /// Makes a reader for the server in the settings of this machine
    /// ([`Settings::from_env`]), over the default transport.
    #[cfg(feature = "hyper")]
    pub fn from_env() -> Result<Self, OpenError> {
        let transport = streamtable_transport_hyper::HyperTransport::new();
        let transport =
            transport.map_err(|error| OpenError::Transport { reason: error.to_string() })?;
        Self::new(transport, Settings::from_env()?)
    }

    /// Makes a reader for the server in `settings`. Nothing is sent yet.
    ///
    /// A transport that does not stream ([`Transport::send_streaming`]) can be used for scans and for
    /// queries whose result fits into memory; a tail needs one that does.
    pub fn new(transport: impl Transport + 'static, settings: Settings) -> Result<Self, OpenError> {
        Ok(Self { server: Server::new(transport, settings)? })
    }

    /// Queries with SQL. A table is named `entity.project.table`.
    ///
    /// The result includes every row that was acked before. A query is sent once: if its response is
    /// lost, that is an error.
    pub fn query(&self, sql: &str) -> Query {
        Query::new(self.server.clone(), sql)
    }

    /// Reads the stored rows of a table, `[[entity/]project/]table`, oldest first.
    ///
    /// A table exists on the server once it has a row. Before that, reading it is an error
    /// ([`ReadError::is_not_found`]).
    pub fn scan(&self, table: &str) -> Scan {
        Scan::new(self.server.clone(), table)
    }

    /// Reads rows as they are stored, without end; by default, only new ones.
    pub fn tail(&self, table: &str) -> Tail {
        Tail::new(self.server.clone(), table)
    }
}
