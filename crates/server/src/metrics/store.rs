//! A store whose rows and queries are counted.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use streamtable_schema::TablePath;
use streamtable_store::{
    Append, Appended, Batch, Health, Query, Read, ReadRow, Rows, SqlQuery, Store, StoreError,
    StoreStats, TableInfo, TableSummary,
};
use tokio::sync::watch;

use super::requests::Running;
use super::{Metrics, OutcomeLabels};

/// How much of a slow query's text is logged, in characters.
const LOGGED_SQL: usize = 500;

/// A [`Store`] that counts and times what goes through it, and logs slow queries.
pub(crate) struct MeteredStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) metrics: Metrics,
    /// Queries that take longer are logged.
    pub(crate) slow_query: Duration,
}

impl fmt::Debug for MeteredStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MeteredStore").field(&self.store).finish()
    }
}

#[async_trait]
impl Append for MeteredStore {
    async fn append(&self, batch: Batch) -> Result<Appended, StoreError> {
        let rows = &self.metrics.rows;
        let bytes = batch.lines.iter().map(bytes::Bytes::len).sum::<usize>();
        rows.bytes.inc_by(bytes as u64);
        let started = Instant::now();
        let appended = self.store.append(batch).await;
        rows.seconds.observe(started.elapsed().as_secs_f64());
        match &appended {
            Ok(appended) => {
                let rejected = appended.rejected.len() as u64;
                for (outcome, count) in [
                    ("stored", appended.stored),
                    ("repeated", appended.repeated),
                    ("rejected", rejected),
                ] {
                    rows.rows.get_or_create(&OutcomeLabels { outcome }).inc_by(count);
                }
            }
            Err(_) => drop(rows.failures.inc()),
        }
        appended
    }

    async fn next_line(&self, table: &TablePath, writer: &str) -> Result<u64, StoreError> {
        self.store.next_line(table, writer).await
    }
}

#[async_trait]
impl Read for MeteredStore {
    async fn tables(&self) -> Result<Vec<TableSummary>, StoreError> {
        self.store.tables().await
    }

    async fn table(&self, table: &TablePath) -> Result<Option<TableInfo>, StoreError> {
        self.store.table(table).await
    }

    async fn read(
        &self,
        table: &TablePath,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ReadRow>, StoreError> {
        self.store.read(table, from, limit).await
    }

    async fn find_steps(
        &self,
        table: &TablePath,
        steps: Range<i64>,
        limit: usize,
    ) -> Result<Vec<(i64, u64)>, StoreError> {
        self.store.find_steps(table, steps, limit).await
    }

    async fn watch(&self, table: &TablePath) -> Result<watch::Receiver<u64>, StoreError> {
        self.store.watch(table).await
    }
}

#[async_trait]
impl Query for MeteredStore {
    async fn query(&self, query: SqlQuery) -> Result<Rows, StoreError> {
        let mut observed = Observed::new(self, &query);
        let Rows { schema, batches } = match self.store.query(query).await {
            Ok(rows) => rows,
            Err(error) => {
                observed.failed(&error);
                return Err(error);
            }
        };
        let batches = batches.map(Some).chain(futures_util::stream::iter([None]));
        let batches = batches.filter_map(move |batch| {
            match &batch {
                Some(Ok(batch)) => observed.rows += batch.num_rows(),
                Some(Err(error)) => observed.failed(error),
                None => observed.complete(),
            }
            std::future::ready(batch)
        });
        Ok(Rows { schema, batches: batches.boxed() })
    }

    async fn row_expression(&self, text: &str) -> Result<String, StoreError> {
        self.store.row_expression(text).await
    }
}

#[async_trait]
impl Store for MeteredStore {
    async fn health(&self) -> Health {
        self.store.health().await
    }

    async fn stats(&self) -> StoreStats {
        self.store.stats().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }
}

/// A query that is observed until it ends or is dropped.
struct Observed {
    metrics: Metrics,
    slow_query: Duration,
    started: Instant,
    sql: String,
    owner: Option<String>,
    rows: usize,
    /// The request that it answers: it may end after the request's handler.
    span: tracing::Span,
    /// How it has ended: as long as this is not known, the caller may still drop it.
    outcome: &'static str,
    _running: Running,
}

impl Observed {
    fn new(store: &MeteredStore, query: &SqlQuery) -> Self {
        Self {
            slow_query: store.slow_query,
            started: Instant::now(),
            sql: query.sql.chars().take(LOGGED_SQL).collect(),
            owner: query.owner.clone(),
            rows: 0,
            span: tracing::Span::current(),
            outcome: "cancelled",
            _running: Running::new(&store.metrics.queries.running),
            metrics: store.metrics.clone(),
        }
    }

    fn complete(&mut self) {
        if self.outcome == "cancelled" {
            self.outcome = "complete";
        }
    }

    fn failed(&mut self, error: &StoreError) {
        self.outcome = match error {
            StoreError::NoTable { .. } | StoreError::Query { .. } | StoreError::Limit { .. } => {
                "refused"
            }
            _ => "failed",
        };
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        let queries = &self.metrics.queries;
        queries.seconds.observe(took.as_secs_f64());
        queries.ended.get_or_create(&OutcomeLabels { outcome: self.outcome }).inc();
        if took > self.slow_query {
            let Self { sql, owner, rows, outcome, .. } = self;
            let seconds = took.as_secs_f64();
            self.span.in_scope(|| {
                tracing::warn!(target: "slow", seconds, rows, outcome, owner, sql, "a slow query");
            });
        }
    }
}
