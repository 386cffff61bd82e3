//! A table whose rows are of one Rust type.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use streamtable_schema::Columns;
use streamtable_transport::Transport;

use crate::{Builder, FlushError, LogError, Logged, OpenError, Stats, StreamTable};

/// A table whose rows are of the type `T`.
///
/// Its columns are known before the first row: a column of an `Option` has its type even if the first
/// rows hold null, and a type that does not fit the existing table is an error when it is opened.
/// Then no row is refused because of its columns. A row can still be refused for its values, such as
/// an integer that does not fit 64 bits, and if the buffer is full.
///
/// Cheap to clone, like [`StreamTable`], which [`untyped`](Self::untyped) returns.
/// [`blocking::Table`](crate::blocking::Table) is the same for programs without an async runtime.
///
/// ```
/// use serde::Serialize;
/// use streamtable::{Columns, StreamTable};
/// use streamtable_mock_backend::MockBackend;
///
/// #[derive(Serialize, Columns)]
/// struct Request {
///     path: String,
///     #[serde(rename = "ms")]
///     latency: f64,
///     user: Option<u64>,
/// }
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let server = MockBackend::default(); // without it, a server at `WANDB_BASE_URL`
///     let table = StreamTable::builder("me/shop/requests")
///         .base_url("http://mock.invalid")
///         .transport(server)
///         .api_key("local-key")
///         .open_typed::<Request>()
///         .await?;
///     let columns = table.untyped().schema();
///     assert_eq!(columns.to_string(), "path: string, ms: float, user: int?");
///
///     let requests = vec![
///         Request { path: "/".to_owned(), latency: 7.5, user: None },
///         Request { path: "/cart".to_owned(), latency: 12.0, user: Some(42) },
///     ];
///     table.log(&requests[0]).await?;
///     table.log_all(&requests[1..]).await?;
///     assert_eq!(table.finish().await?.acked, 2);
///     Ok(())
/// }
/// ```
///
/// A row of another type is an error of the compiler:
///
/// ```compile_fail,E0308
/// use serde::Serialize;
/// use streamtable::{Columns, Logged, LogError, Table};
///
/// #[derive(Serialize, Columns)]
/// struct Request {
///     path: String,
/// }
///
/// async fn log(table: Table<Request>) -> Result<Logged, LogError> {
///     table.log(&("/", 7)).await
/// }
/// ```
pub struct Table<T> {
    table: StreamTable,
    rows: PhantomData<fn(&T)>,
}

impl<T: Columns> Table<T> {
    /// Opens a table over the default transport; see [`StreamTable::open`].
    #[cfg(feature = "hyper")]
    pub async fn open(name: &str) -> Result<Self, OpenError> {
        StreamTable::builder(name).open_typed().await
    }

    /// Opens a table over another transport; see [`StreamTable::open_with`].
    pub async fn open_with(
        name: &str,
        transport: impl Transport + 'static,
    ) -> Result<Self, OpenError> {
        StreamTable::builder(name).transport(transport).open_typed().await
    }

    /// Logs one row; see [`StreamTable::log`].
    #[expect(clippy::future_not_send, reason = "it is Send if the row is Sync")]
    pub async fn log(&self, row: &T) -> Result<Logged, LogError> {
        self.table.log(row).await
    }

    /// Logs several rows; see [`StreamTable::log`].
    #[expect(clippy::future_not_send, reason = "it is Send if the rows are")]
    pub async fn log_all<'a>(
        &self,
        rows: impl IntoIterator<Item = &'a T>,
    ) -> Result<Logged, LogError>
    where
        T: 'a,
    {
        self.table.log(rows.into_iter()).await
    }

    /// Logs one row without waiting; see [`StreamTable::try_log`].
    pub fn try_log(&self, row: &T) -> Result<Logged, LogError> {
        self.table.try_log(row)
    }
}

impl<T> Table<T> {
    pub(crate) fn new(table: StreamTable) -> Self {
        Self { table, rows: PhantomData }
    }

    /// Waits until all rows logged so far are stored; see [`StreamTable::flush`].
    pub async fn flush(&self, timeout: Duration) -> Result<Stats, FlushError> {
        self.table.flush(timeout).await
    }

    /// Closes the table and waits until all rows are stored; see [`StreamTable::finish`].
    pub async fn finish(&self) -> Result<Stats, FlushError> {
        self.table.finish().await
    }

    /// Returns the current accounting of the rows.
    pub fn stats(&self) -> Stats {
        self.table.stats()
    }

    /// Returns the table without the type of its rows.
    pub fn untyped(&self) -> &StreamTable {
        &self.table
    }
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self::new(self.table.clone())
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table.fmt(f)
    }
}

impl Builder {
    /// Opens a table whose rows are of one type; see [`Table`].
    ///
    /// Fails with [`OpenError::Columns`] if rows of this type do not fit the existing columns.
    pub async fn open_typed<T: Columns>(self) -> Result<Table<T>, OpenError> {
        self.declare(T::columns()).open().await.map(Table::new)
    }
}
