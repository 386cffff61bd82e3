//! The storage interface of a server, split by caller.
//!
//! Every row is identified by (table, writer, line) and stored once, however often it is sent. Its
//! position in the table is its index among all rows in order of arrival; rows of one writer keep
//! their order.
//!
//! Every method is asynchronous and can fail, because a store may have to ask a remote system.
//! Dropping a method's future cancels what has not been submitted yet. [`StoreError::is_retryable`]
//! returns whether a retry may succeed.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use streamtable_schema::TablePath;
use tokio::sync::watch;

use crate::{
    Appended, Batch, Health, ReadRow, Rows, SqlQuery, StoreError, StoreStats, TableInfo,
    TableSummary,
};

/// Accepts rows. Called by the endpoints that receive them.
#[async_trait]
pub trait Append: fmt::Debug + Send + Sync {
    /// Stores a batch, and returns once it is durable.
    ///
    /// The stored rows are visible to the next read and query. Idempotent: after an error the same
    /// batch can be retried; rows that were already stored are counted as repeated, and the others
    /// are stored. If the future is dropped, the rows may be stored or not.
    async fn append(&self, batch: Batch) -> Result<Appended, StoreError>;

    /// Returns the number of the writer's next line: one more than the highest stored number, or 0
    /// for an unknown writer or table.
    async fn next_line(&self, table: &TablePath, writer: &str) -> Result<u64, StoreError>;
}

/// Reads tables by position, and watches them grow. Called by exports, tails and lists of tables.
///
/// A table that has never had a row is not an error: it is absent, has no rows, and ends at 0.
#[async_trait]
pub trait Read: fmt::Debug + Send + Sync {
    /// Lists all tables, sorted by name.
    async fn tables(&self) -> Result<Vec<TableSummary>, StoreError>;

    /// Returns what is known of a table, or `None` if it has never had a row.
    async fn table(&self, table: &TablePath) -> Result<Option<TableInfo>, StoreError>;

    /// Reads at most `limit` rows from a position on, in order. An empty result means that there is
    /// no row at or after `from`.
    async fn read(
        &self,
        table: &TablePath,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ReadRow>, StoreError>;

    /// Returns the steps and positions of the first `limit` rows with a step in `steps`, in the order
    /// of steps, then of positions. The step of a row without one is its position.
    async fn find_steps(
        &self,
        table: &TablePath,
        steps: Range<i64>,
        limit: usize,
    ) -> Result<Vec<(i64, u64)>, StoreError>;

    /// Watches the table's end, which is 0 while the table does not exist.
    ///
    /// The value never decreases. Rows that were appended through this store are included as soon
    /// as they are acked; rows that arrive elsewhere, as soon as the store notices them. The
    /// channel is closed only after the store is dropped.
    async fn watch(&self, table: &TablePath) -> Result<watch::Receiver<u64>, StoreError>;
}

/// Answers SQL queries. Called by the query endpoint and by live views.
#[async_trait]
pub trait Query: fmt::Debug + Send + Sync {
    /// Answers a query over the newest state of the tables. Read-only.
    ///
    /// Returns once the query is checked and has started. Errors that occur later are in the
    /// stream of rows, which ends with them.
    async fn query(&self, query: SqlQuery) -> Result<Rows, StoreError>;

    /// Puts a text in parentheses if it is one expression over the cells of a row, so that it can be
    /// inserted into a query without changing its meaning.
    ///
    /// Subqueries, window functions and `*` are refused. Columns and functions are looked up when
    /// the query is planned.
    async fn row_expression(&self, text: &str) -> Result<String, StoreError>;
}

/// A store of tables of rows: everything that a server needs.
#[async_trait]
pub trait Store: Append + Read + Query {
    /// Returns what is wrong with the stored data. A store that cannot find out reports that as a
    /// problem.
    async fn health(&self) -> Health;

    /// Returns figures of the store's work, for those who operate it. By default there are none.
    async fn stats(&self) -> StoreStats {
        StoreStats::default()
    }

    /// Completes pending work. Later appends fail with [`StoreError::Unavailable`]; closing again
    /// does nothing.
    async fn close(&self) -> Result<(), StoreError>;
}

#[async_trait]
impl<T: Append + ?Sized> Append for Arc<T> {
    async fn append(&self, batch: Batch) -> Result<Appended, StoreError> {
        (**self).append(batch).await
    }

    async fn next_line(&self, table: &TablePath, writer: &str) -> Result<u64, StoreError> {
        (**self).next_line(table, writer).await
    }
}

#[async_trait]
impl<T: Read + ?Sized> Read for Arc<T> {
    async fn tables(&self) -> Result<Vec<TableSummary>, StoreError> {
        (**self).tables().await
    }

    async fn table(&self, table: &TablePath) -> Result<Option<TableInfo>, StoreError> {
        (**self).table(table).await
    }

    async fn read(
        &self,
        table: &TablePath,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ReadRow>, StoreError> {
        (**self).read(table, from, limit).await
    }

    async fn find_steps(
        &self,
        table: &TablePath,
        steps: Range<i64>,
        limit: usize,
    ) -> Result<Vec<(i64, u64)>, StoreError> {
        (**self).find_steps(table, steps, limit).await
    }

    async fn watch(&self, table: &TablePath) -> Result<watch::Receiver<u64>, StoreError> {
        (**self).watch(table).await
    }
}

#[async_trait]
impl<T: Query + ?Sized> Query for Arc<T> {
    async fn query(&self, query: SqlQuery) -> Result<Rows, StoreError> {
        (**self).query(query).await
    }

    async fn row_expression(&self, text: &str) -> Result<String, StoreError> {
        (**self).row_expression(text).await
    }
}

#[async_trait]
impl<T: Store + ?Sized> Store for Arc<T> {
    async fn health(&self) -> Health {
        (**self).health().await
    }

    async fn stats(&self) -> StoreStats {
        (**self).stats().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        (**self).close().await
    }
}
