//! Reads, watches and queries.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};
use streamtable_schema::TablePath;
use streamtable_store::{
    Query, Read, ReadRow, Rows, SqlQuery, StoreError, TableInfo, TableSummary,
};
use tokio::sync::watch;

use super::table::{Snapshot, Table};
use super::{EmbeddedStore, Inner};
use crate::query::{Tables, row_expression};

#[async_trait]
impl Read for EmbeddedStore {
    async fn tables(&self) -> Result<Vec<TableSummary>, StoreError> {
        let summary = |table: Arc<Table>| {
            let problems = table.problems();
            let summary = table.state.lock().summary(&table.path)?;
            Some(TableSummary { problems, ..summary })
        };
        Ok(self.inner.all_tables().into_iter().filter_map(summary).collect())
    }

    async fn table(&self, path: &TablePath) -> Result<Option<TableInfo>, StoreError> {
        let Some(table) = self.inner.find(path) else { return Ok(None) };
        let problems = table.problems();
        let info = table.state.lock().info(path);
        let with_problems = |info: TableInfo| {
            let summary = TableSummary { problems, ..info.summary };
            TableInfo { summary, ..info }
        };
        Ok(info.map(with_problems))
    }

    async fn read(
        &self,
        path: &TablePath,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ReadRow>, StoreError> {
        let Some(table) = self.inner.find(path) else { return Ok(Vec::new()) };
        table.read_files(|snapshot| self.inner.engine.read(snapshot, from, limit)).await
    }

    async fn find_steps(
        &self,
        path: &TablePath,
        steps: Range<i64>,
        limit: usize,
    ) -> Result<Vec<(i64, u64)>, StoreError> {
        let Some(table) = self.inner.find(path) else { return Ok(Vec::new()) };
        let find = |snapshot| self.inner.engine.find_steps(snapshot, steps.clone(), limit);
        table.read_files(find).await
    }

    async fn watch(&self, path: &TablePath) -> Result<watch::Receiver<u64>, StoreError> {
        Ok(self.inner.watch(path))
    }
}

#[async_trait]
impl Query for EmbeddedStore {
    async fn query(&self, query: SqlQuery) -> Result<Rows, StoreError> {
        loop {
            match self.inner.start_query(query.clone()).await {
                Ok(rows) => return Ok(rows),
                // Each retry has at least one file less.
                Err(_) if self.inner.check_suspects().await? => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn row_expression(&self, text: &str) -> Result<String, StoreError> {
        row_expression(text)
    }
}

impl Table {
    /// Reads a snapshot, and reads again without the files that turn out to be damaged.
    async fn read_files<T, R>(
        &self,
        read: impl Fn(Snapshot) -> R + Send + Sync,
    ) -> Result<T, StoreError>
    where
        T: Send,
        R: Future<Output = Result<T, StoreError>> + Send,
    {
        loop {
            match read(self.snapshot()).await {
                // Each retry has at least one file less.
                Err(_) if self.check_suspects().await? => {}
                read => return read,
            }
        }
    }
}

impl Inner {
    /// Checks the files that queries could not read. Returns whether one of them was removed from
    /// its table. Fails if a bucket does not answer.
    async fn check_suspects(&self) -> Result<bool, StoreError> {
        let mut is_any_gone = false;
        for table in self.all_tables() {
            is_any_gone |= table.check_suspects().await?;
        }
        Ok(is_any_gone)
    }

    /// Starts a query, and waits for its first rows: most queries that meet a damaged file meet it
    /// before then.
    async fn start_query(self: &Arc<Self>, query: SqlQuery) -> Result<Rows, StoreError> {
        let catalog = Arc::new(Catalog(Arc::clone(self)));
        let Rows { schema, batches } = self.engine.query(catalog, query).await?;
        let mut batches = batches.fuse();
        let first = batches.next().await.transpose()?;
        let inner = Arc::clone(self);
        let batches = futures_util::stream::iter(first.map(Ok)).chain(batches);
        let batches = batches.inspect_err(move |_| {
            let inner = Arc::clone(&inner);
            tokio::spawn(async move { inner.check_suspects().await });
        });
        Ok(Rows { schema, batches: batches.boxed() })
    }

    /// Watches the end of a table, which need not exist yet.
    fn watch(&self, path: &TablePath) -> watch::Receiver<u64> {
        if let Some(table) = self.find(path) {
            return table.end.subscribe();
        }
        let mut awaited = self.awaited.lock();
        // The table may have been created since.
        if let Some(table) = self.tables.try_read().and_then(|it| it.get(path).cloned()) {
            return table.end.subscribe();
        }
        awaited.retain(|_, sender| !sender.is_closed());
        awaited.entry(path.clone()).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }
}

/// The tables, for the query engine.
#[derive(Clone)]
struct Catalog(Arc<Inner>);

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Catalog")
    }
}

impl Tables for Catalog {
    fn names(&self) -> Vec<TablePath> {
        let tables = self.0.tables.read();
        // A table whose first batch is still being stored has no row yet.
        tables
            .values()
            .filter(|it| it.state.lock().visible_upto > 0)
            .map(|it| it.path.clone())
            .collect()
    }

    fn find(&self, path: &TablePath) -> Option<Snapshot> {
        let table = self.0.find(path)?;
        let snapshot = table.snapshot();
        (snapshot.end > 0).then_some(snapshot)
    }
}
