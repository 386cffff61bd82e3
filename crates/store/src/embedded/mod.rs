//! The store of one machine: a folder, and a process that owns it.

mod admit;
mod check;
mod config;
mod delta;
mod flush;
mod folder;
mod lines;
mod parquet;
mod rebuild;
mod recover;
mod rest;
mod state;
mod sums;
mod table;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};
use parking_lot::{Mutex, RwLock};
use streamtable_schema::{ColumnPolicy, TablePath};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, oneshot, watch};
use tokio::task::JoinHandle;

pub use config::StoreConfig;
pub(crate) use parquet::{BLOCK, block_sums};
pub use recover::Recovery;
pub(crate) use state::DataFile;
pub(crate) use sums::Sums;
pub(crate) use table::Snapshot;

use crate::log::{Log, Outcome};
use crate::query::Engine;
use crate::{
    Appended, Batch, Health, Numbering, Query, ReadRow, Rows, Store, StoreError, TableInfo,
    TableSummary,
};
use admit::{Admitted, Parsed, parse, parse_apart};
use rest::Which;
use state::TableState;
use table::{Table, Totals};

/// Batches up to this size are read on the caller's task, larger ones beside it.
const SMALL_BATCH: usize = 16 << 10;

/// So many KiB of lines may be read at once: as rows they take about ten times as much memory, and
/// more at once would not be read sooner.
const MAX_READING: u32 = 16 << 10;

/// A batch that is read beside the caller's task counts as so many KiB at least, since it takes a
/// thread.
const MIN_READING: u32 = 512;

/// So many bytes may wait for the log before batches are refused for a while.
const MAX_WAITING: usize = 128 << 20;

/// How long a batch waits for memory before it is refused for a while.
const PATIENCE: Duration = Duration::from_secs(10);

/// A [`Store`] in a folder: a log in which rows become durable, columns in memory, and Delta Lake
/// tables in which they come to rest.
///
/// ```
/// use streamtable_schema::{ColumnPolicy, Timestamp};
/// use streamtable_store::{Batch, EmbeddedStore, Numbering, Store, StoreConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let store = EmbeddedStore::open(StoreConfig::new(folder.path())).await?;
/// let batch = Batch {
///     table: "me/shop/requests".parse()?,
///     writer: "w".to_owned(),
///     first_line: 0,
///     lines: vec![r#"{"path":"/","ms":7}"#.into(), r#"{"path":"/a","ms":8.5}"#.into()],
///     numbering: Numbering::Once,
///     columns: ColumnPolicy::Strict,
///     received_at: Timestamp::from_millis(0),
/// };
/// assert_eq!(store.append(batch.clone()).await?.stored, 2);
/// assert_eq!(store.append(batch.clone()).await?.repeated, 2);
/// assert_eq!(store.read(&batch.table, 0, 10).await?.len(), 2);
/// store.close().await?;
/// # Ok(())
/// # }
/// ```
pub struct EmbeddedStore {
    inner: Arc<Inner>,
    background: Mutex<Option<JoinHandle<()>>>,
}

/// What the store and its background task share.
struct Inner {
    config: StoreConfig,
    log: Log,
    tables: RwLock<BTreeMap<TablePath, Arc<Table>>>,
    totals: Arc<Totals>,
    /// Who waits for the first row of tables that are not there yet.
    awaited: Mutex<BTreeMap<TablePath, watch::Sender<u64>>>,
    engine: Engine,
    recovery: Recovery,
    /// Bytes handed to the log since the last flush.
    logged: AtomicUsize,
    is_closed: AtomicBool,
    /// A permit for each KiB of lines that may be read now.
    reading: Semaphore,
    /// Wakes the background task.
    wake: Notify,
    /// Notified when a table was flushed.
    rested: Notify,
    /// Held as long as the folder is owned.
    _lock: File,
}

impl EmbeddedStore {
    /// Opens the store in a folder, and brings back what a crash left in its log.
    ///
    /// Fails if another process owns the folder, if a newer version wrote it, or if the system denies
    /// access. Damage is no reason to fail: what cannot be read is set aside or rebuilt, and reported
    /// by [`health`](Store::health).
    pub async fn open(config: StoreConfig) -> Result<Self, StoreError> {
        let inner = Arc::new(recover::open(config).await?);
        let background = tokio::spawn(rest::run(Arc::clone(&inner)));
        Ok(Self { inner, background: Mutex::new(Some(background)) })
    }

    /// Returns what was found when the store was opened.
    pub fn recovery(&self) -> &Recovery {
        &self.inner.recovery
    }

    /// Flushes all durable rows now. Fails if a table cannot be flushed, after all others are.
    pub async fn put_to_rest(&self) -> Result<(), StoreError> {
        self.inner.flush(Which::All).await
    }

    /// Returns how many bytes the rows take that are in memory.
    pub fn live_bytes(&self) -> usize {
        self.inner.totals.live_bytes.load(Ordering::Relaxed)
    }

    /// Reads every Parquet file and Delta log. Files that are damaged or missing are taken out of
    /// their tables; returns their names.
    pub async fn verify(&self) -> Result<Vec<String>, StoreError> {
        let mut damaged = Vec::new();
        for table in self.inner.all_tables() {
            damaged.extend(table.verify().await?);
        }
        Ok(damaged)
    }
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedStore").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        if let Some(task) = self.background.lock().take() {
            task.abort();
        }
    }
}

impl Inner {
    fn all_tables(&self) -> Vec<Arc<Table>> {
        self.tables.read().values().cloned().collect()
    }

    /// Reads the files that queries could not read. Returns whether there were any.
    async fn check_suspects(&self) -> bool {
        let mut had_any = false;
        for table in self.all_tables() {
            had_any |= table.check_suspects().await;
        }
        had_any
    }

    fn find(&self, path: &TablePath) -> Option<Arc<Table>> {
        self.tables.read().get(path).cloned()
    }

    fn find_or_make(&self, path: &TablePath) -> Arc<Table> {
        if let Some(table) = self.find(path) {
            return table;
        }
        let mut tables = self.tables.write();
        let table = tables.entry(path.clone()).or_insert_with(|| {
            let folder = folder::table_folder(&self.config.folder, path);
            let totals = Arc::clone(&self.totals);
            let mut table = Table::new(path.clone(), folder, TableState::default(), totals);
            if let Some(end) = self.awaited.lock().remove(path) {
                table.end = end;
            }
            Arc::new(table)
        });
        Arc::clone(table)
    }

    /// Returns the bytes that rows of tables take in memory which cannot be flushed.
    fn faulty_bytes(&self) -> usize {
        let tables = self.all_tables().into_iter().filter(|table| table.fault().is_some());
        tables.map(|table| table.state.lock().live_bytes()).sum()
    }

    /// Waits until there is room in memory for rows of a table.
    async fn wait_for_room(&self, path: &TablePath) -> Result<(), StoreError> {
        let unavailable = |reason: &str| StoreError::Unavailable { reason: reason.to_owned() };
        if self.is_closed.load(Ordering::Acquire) {
            return Err(unavailable("the server is shutting down"));
        }
        if self.log.waiting_bytes() > MAX_WAITING {
            return Err(unavailable("the disk is behind"));
        }
        let max = self.config.live_bytes;
        // Tables that cannot be flushed must leave room for the others.
        if let Some(reason) = self.find(path).and_then(|table| table.fault())
            && self.faulty_bytes() > max / 2
        {
            self.wake.notify_one();
            return Err(unavailable(&format!("the table cannot be flushed: {reason}")));
        }
        let wait = async {
            loop {
                let rested = self.rested.notified();
                if self.totals.live_bytes.load(Ordering::Relaxed) < max {
                    return;
                }
                self.wake.notify_one();
                rested.await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.map_err(|_| unavailable("rows come faster than they can be flushed"))
    }

    /// Admits the rows of a batch and hands them to the log; returns once they are durable.
    async fn append(
        self: &Arc<Self>,
        batch: Batch,
        parsed: Vec<Parsed>,
        reading: SemaphorePermit<'_>,
    ) -> Result<Appended, StoreError> {
        let table = self.find_or_make(&batch.table);
        let (appended, failures, settled) = self.submit(&table, &batch, parsed)?;
        drop(reading);
        let outcome = settled.await.map_err(|_| ended())?;
        let state = table.state.lock();
        // What is told here is what stands behind the frames. Any of them, and any that a repeated
        // line came in, may have failed before; then the whole batch comes again, and does no harm.
        match outcome {
            Outcome::Durable if state.failures == failures => {
                Ok(Appended { end: state.end, ..appended })
            }
            Outcome::Durable => {
                Err(StoreError::Unavailable { reason: "a write to the disk has failed".to_owned() })
            }
            Outcome::Failed(error) => Err(StoreError::Unavailable { reason: error.to_string() }),
        }
    }

    fn submit(
        self: &Arc<Self>,
        table: &Arc<Table>,
        batch: &Batch,
        parsed: Vec<Parsed>,
    ) -> Result<(Appended, u64, oneshot::Receiver<Outcome>), StoreError> {
        let (settle, settled) = oneshot::channel();
        let mut state = table.state.lock();
        let admitted = state.admit(batch, parsed);
        let Admitted { groups, repeated, rejected, spent } =
            admitted.map_err(|error| StoreError::Io { reason: error.to_string() })?;
        let stored = groups.iter().map(|group| group.frame.rows.len() as u64).sum();
        let appended = Appended { stored, repeated, rejected, end: state.end };
        let failures = state.failures;
        state.pending += groups.len() as u64;
        for group in groups {
            let bytes = group.frame.encode();
            self.logged.fetch_add(bytes.len(), Ordering::Relaxed);
            let table = Arc::clone(table);
            self.log.submit(bytes, Box::new(move |outcome| table.settle(group, &outcome)));
        }
        // Behind all frames of this table that are on their way, those that are repeated included.
        self.log.submit(
            Vec::new(),
            Box::new(move |outcome| {
                // Whoever waited may have gone away; the rows are stored all the same.
                let _ = settle.send(outcome);
            }),
        );
        drop(state);
        drop(spent);
        if self.logged.load(Ordering::Relaxed) >= self.config.segment_bytes as usize
            || self.totals.live_bytes.load(Ordering::Relaxed) > self.config.live_bytes / 2
        {
            self.wake.notify_one();
        }
        Ok((appended, failures, settled))
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable { reason: "the log has ended".to_owned() }
}

impl Table {
    /// Called on the log's thread with the outcome of writing rows.
    fn settle(&self, group: admit::Group, outcome: &Outcome) {
        let mut state = self.state.lock();
        state.pending -= 1;
        match outcome {
            Outcome::Durable => {
                state.publish(group);
                self.need_log(&mut state);
                self.recount(&mut state);
            }
            Outcome::Failed(_) => {
                state.give_up(&group);
                state.failures += 1;
            }
        }
        let end = state.end;
        drop(state);
        self.end.send_replace(end);
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn append(&self, mut batch: Batch) -> Result<Appended, StoreError> {
        self.inner.wait_for_room(&batch.table).await?;
        if batch.numbering == Numbering::Overwrite {
            // A line that may be written again may change its kind as well.
            batch.columns = ColumnPolicy::Evolve;
        }
        let bytes: usize = batch.lines.iter().map(bytes::Bytes::len).sum();
        let inner = Arc::clone(&self.inner);
        // The rows are stored whole or not at all, also when whoever asked goes away.
        let task = tokio::spawn(async move {
            let is_small = bytes <= SMALL_BATCH;
            let least = if is_small { 1 } else { MIN_READING };
            let kib = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).clamp(least, MAX_READING);
            let reading = inner.reading.acquire_many(kib).await.map_err(|_| ended())?;
            let parsed = if is_small {
                parse(&batch.lines)
            } else {
                let read = parse_apart(&batch.lines, bytes).await;
                read.map_err(|error| StoreError::Io { reason: error.to_string() })?
            };
            inner.append(batch, parsed, reading).await
        });
        task.await.map_err(|error| StoreError::Io { reason: error.to_string() })?
    }

    fn tables(&self) -> Vec<TableSummary> {
        let summary = |table: Arc<Table>| {
            let problems = table.problems();
            let summary = table.state.lock().summary(&table.path)?;
            Some(TableSummary { problems, ..summary })
        };
        self.inner.all_tables().into_iter().filter_map(summary).collect()
    }

    fn table(&self, path: &TablePath) -> Option<TableInfo> {
        let table = self.inner.find(path)?;
        let problems = table.problems();
        let info = table.state.lock().info(path)?;
        Some(TableInfo { summary: TableSummary { problems, ..info.summary }, ..info })
    }

    fn next_line(&self, path: &TablePath, writer: &str) -> u64 {
        self.inner.find(path).map_or(0, |table| table.state.lock().next_line(writer))
    }

    async fn read(
        &self,
        path: &TablePath,
        from: u64,
        limit: usize,
    ) -> Result<Vec<ReadRow>, StoreError> {
        let Some(table) = self.inner.find(path) else { return Ok(Vec::new()) };
        let read = self.inner.engine.read(table.snapshot(), from, limit).await;
        if read.is_err() && table.check_suspects().await {
            return self.inner.engine.read(table.snapshot(), from, limit).await;
        }
        read
    }

    fn watch(&self, path: &TablePath) -> watch::Receiver<u64> {
        if let Some(table) = self.inner.find(path) {
            return table.end.subscribe();
        }
        let mut awaited = self.inner.awaited.lock();
        // It may have come into being since.
        if let Some(table) = self.inner.tables.try_read().and_then(|it| it.get(path).cloned()) {
            return table.end.subscribe();
        }
        awaited.retain(|_, sender| !sender.is_closed());
        awaited.entry(path.clone()).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    async fn query(&self, query: Query) -> Result<Rows, StoreError> {
        let ask = |query| {
            let catalog = Arc::new(Catalog(Arc::clone(&self.inner)));
            self.inner.engine.query(catalog, query)
        };
        let again = query.clone();
        let failed = match ask(query).await {
            Ok(rows) => {
                // Most queries that meet a damaged file do so before their first rows.
                let (schema, mut batches) = (rows.schema, rows.batches);
                match batches.next().await {
                    Some(Err(error)) => error,
                    first => {
                        let first = futures_util::stream::iter(first);
                        let inner = Arc::clone(&self.inner);
                        let batches = first.chain(batches).inspect_err(move |_| {
                            let inner = Arc::clone(&inner);
                            tokio::spawn(async move { inner.check_suspects().await });
                        });
                        return Ok(Rows { schema, batches: batches.boxed() });
                    }
                }
            }
            Err(error) => error,
        };
        if self.inner.check_suspects().await { ask(again).await } else { Err(failed) }
    }

    fn health(&self) -> Health {
        let problems = |table: Arc<Table>| (table.path.clone(), table.problems());
        let tables = self.inner.all_tables().into_iter().map(problems);
        Health {
            store: self.inner.recovery.problems.clone(),
            tables: tables.filter(|(_, problems)| !problems.is_empty()).collect(),
        }
    }

    async fn close(&self) -> Result<(), StoreError> {
        if self.inner.is_closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let task = self.background.lock().take();
        if let Some(task) = task {
            self.inner.wake.notify_one();
            // The task ends by itself once the store is closed.
            let _ = task.await;
        }
        if let Err(error) = self.inner.flush(Which::Large).await {
            // Nothing is lost: the next start reads the rows from the log.
            tracing::error!(%error, "some rows could not be flushed and stay in the log");
        }
        let inner = Arc::clone(&self.inner);
        let closed = tokio::task::spawn_blocking(move || inner.log.close()).await;
        closed.map_err(|error| StoreError::Io { reason: error.to_string() })
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

impl crate::query::Tables for Catalog {
    fn names(&self) -> Vec<TablePath> {
        let tables = self.0.tables.read();
        // A table whose first batch is on its way has no row yet.
        tables.values().filter(|it| it.state.lock().end > 0).map(|it| it.path.clone()).collect()
    }

    fn find(&self, path: &TablePath) -> Option<Snapshot> {
        let table = self.0.find(path)?;
        let snapshot = table.snapshot();
        (snapshot.end > 0).then_some(snapshot)
    }
}
