//! The storage interface of a server.

use std::fmt;

use async_trait::async_trait;
use streamtable_schema::TablePath;
use tokio::sync::watch;

use crate::{Appended, Batch, Health, Query, ReadRow, Rows, StoreError, TableInfo, TableSummary};

/// A store of tables of rows.
///
/// Every row is identified by (table, writer, line) and stored once, however often it is sent. Its
/// position in the table is its index among all rows in order of arrival; rows of one writer keep
/// their order.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Stores a batch, and returns once it is durable.
    ///
    /// The stored rows are visible to the next read and query. Idempotent: after an error the same
    /// batch can be retried; rows that were already stored are counted as repeated, and the others
    /// are stored.
    async fn append(&self, batch: Batch) -> Result<Appended, StoreError>;

    /// Lists all tables, sorted by name.
    fn tables(&self) -> Vec<TableSummary>;

    /// Returns what is known of a table, or `None` if it has never had a row.
    fn table(&self, table: &TablePath) -> Option<TableInfo>;

    /// Returns the number of the writer's next line: one more than the highest stored number, or 0
    /// for an unknown writer.
    fn next_line(&self, table: &TablePath, writer: &str) -> u64;

    /// Reads at most `limit` rows from a position on, in order. An empty result means that there is
    /// no row at or after `from`.
    async fn read(
        &self,
        table: &TablePath,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ReadRow>, StoreError>;

    /// Watches the table's end, which is 0 while the table does not exist.
    fn watch(&self, table: &TablePath) -> watch::Receiver<u64>;

    /// Answers a query over the newest state of the tables. Read-only.
    async fn query(&self, query: Query) -> Result<Rows, StoreError>;

    /// Returns what is wrong with the stored data.
    fn health(&self) -> Health {
        Health::default()
    }

    /// Completes pending work. Later calls fail with [`StoreError::Unavailable`].
    async fn close(&self) -> Result<(), StoreError>;
}
