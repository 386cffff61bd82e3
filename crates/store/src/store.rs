//! What a server needs of storage.

use std::fmt;

use async_trait::async_trait;
use streamtable_schema::TablePath;
use tokio::sync::watch;

use crate::{Appended, Batch, Health, Query, ReadRow, Rows, StoreError, TableInfo, TableSummary};

/// Keeps tables of rows.
///
/// Every row is identified by (table, writer, line) and stored once, however often it comes. Its
/// position in the table is its place among all rows, in the order in which they arrived; rows of
/// one writer keep their order.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Stores a batch, and returns once it is durable.
    ///
    /// What it stored is in the next read and query. After an error the same batch may come again:
    /// what was stored of it is repeated then, and the rest is stored.
    async fn append(&self, batch: Batch) -> Result<Appended, StoreError>;

    /// Lists all tables, sorted by name.
    fn tables(&self) -> Vec<TableSummary>;

    /// Tells what is known of a table, `None` where it has never had a row.
    fn table(&self, table: &TablePath) -> Option<TableInfo>;

    /// Returns the number that the writer's next line has: one more than the highest that is
    /// stored, 0 for a writer that is not known.
    fn next_line(&self, table: &TablePath, writer: &str) -> u64;

    /// Reads at most `limit` rows from a position on, in order. An empty answer says that there is
    /// no row at or behind `from`.
    async fn read(
        &self,
        table: &TablePath,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ReadRow>, StoreError>;

    /// Watches the table's end, which is 0 as long as there is no table.
    fn watch(&self, table: &TablePath) -> watch::Receiver<u64>;

    /// Answers a question over the newest state of the tables. Reads only.
    async fn query(&self, query: Query) -> Result<Rows, StoreError>;

    /// Returns what is wrong with the stored data.
    fn health(&self) -> Health {
        Health::default()
    }

    /// Finishes what is under way. What comes afterwards fails with [`StoreError::Unavailable`].
    async fn close(&self) -> Result<(), StoreError>;
}
