//! The store on one machine: a folder that is owned by one process.

mod admit;
mod check;
mod config;
mod delta;
mod flush;
mod flusher;
mod folder;
mod lines;
mod parquet;
mod rebuild;
mod recover;
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
use streamtable_store::{
    Append, Appended, Batch, Health, OnDuplicate, Query, Read, ReadRow, RejectedLine, Rows,
    SqlQuery, Store, StoreError, TableInfo, TableSummary,
};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, oneshot, watch};
use tokio::task::JoinHandle;

pub use config::StoreConfig;
pub(crate) use folder::TABLES;
pub(crate) use parquet::{BLOCK, block_sums};
pub use recover::Recovery;
pub(crate) use state::DataFile;
pub(crate) use sums::Sums;
pub(crate) use table::Snapshot;

use crate::log::{Log, Outcome};
use crate::memtable::{Charge, Memory};
use crate::query::{Engine, row_expression};
use admit::{Waiting, parse, parse_apart};
use flusher::Which;
use state::TableState;
use table::{OpenSegment, Table};

/// Batches up to this size are parsed on the caller's task, larger ones on other threads.
const SMALL_BATCH: usize = 16 << 10;

/// How many KiB of lines may be parsed at once. Rows take about ten times as much memory as their
/// lines, and a higher limit would not be faster.
const MAX_READING: u32 = 16 << 10;

/// The minimum number of KiB that a batch counts for if it is parsed on another thread.
const MIN_READING: u32 = 512;

/// How many bytes may wait for the log before batches are refused as unavailable.
const MAX_WAITING: usize = 128 << 20;

/// How long a batch waits for memory before it is refused as unavailable.
const PATIENCE: Duration = Duration::from_secs(10);

/// A [`Store`] in a folder: a log that makes rows durable, a memtable per table, and Delta Lake
/// tables that rows are flushed to.
///
/// ```
/// use streamtable_schema::{ColumnPolicy, Timestamp};
/// use streamtable_store::{Append, Batch, LineNumber, OnDuplicate, Read, Store};
/// use streamtable_store_embedded::{EmbeddedStore, StoreConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let store = EmbeddedStore::open(StoreConfig::new(folder.path())).await?;
/// let batch = Batch {
///     table: "me/shop/requests".parse()?,
///     writer: "w".to_owned(),
///     first_line: LineNumber::default(),
///     lines: vec![r#"{"path":"/","ms":7}"#.into(), r#"{"path":"/a","ms":8.5}"#.into()],
///     on_duplicate: OnDuplicate::Ignore,
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

/// State that the store and its background task share.
struct Inner {
    config: StoreConfig,
    log: Log,
    tables: RwLock<BTreeMap<TablePath, Arc<Table>>>,
    open_segment: Arc<OpenSegment>,
    /// Watchers of tables that do not exist yet.
    awaited: Mutex<BTreeMap<TablePath, watch::Sender<u64>>>,
    engine: Engine,
    recovery: Recovery,
    /// Counts the arrays of rows that are not flushed.
    memory: Arc<Memory>,
    /// Bytes submitted to the log since the last flush.
    logged: AtomicUsize,
    is_closed: AtomicBool,
    /// A permit for each KiB of lines that may be parsed now.
    reading: Semaphore,
    /// A permit for each thread that may admit a large batch; more threads would not be faster.
    builders: Semaphore,
    /// Wakes the background task.
    wake: Notify,
    /// Notified when a table was flushed.
    flushed: Notify,
    /// Held while this process owns the folder.
    _lock: File,
}

impl EmbeddedStore {
    /// Opens the store in a folder, and recovers rows from its log after a crash.
    ///
    /// Fails if another process owns the folder, if a newer version wrote it, or if the system
    /// denies access. Does not fail because of damage: files that cannot be read are set aside or
    /// rebuilt, and reported by [`health`](Store::health).
    pub async fn open(config: StoreConfig) -> Result<Self, StoreError> {
        let inner = Arc::new(recover::open(config).await?);
        let background = tokio::spawn(flusher::run(Arc::clone(&inner)));
        Ok(Self { inner, background: Mutex::new(Some(background)) })
    }

    /// Returns what was found when the store was opened.
    pub fn recovery(&self) -> &Recovery {
        &self.inner.recovery
    }

    /// Flushes all durable rows now. If a table cannot be flushed, an error is returned after all
    /// others are flushed.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush(Which::All).await
    }

    /// Returns the number of bytes that rows in memory take.
    pub fn memtable_bytes(&self) -> usize {
        self.inner.memory.bytes()
    }

    /// Reads every Parquet file and Delta log. Files that are damaged or missing are removed from
    /// their tables. Returns the names of those files.
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

    /// Checks the files that queries could not read. Returns whether one of them was removed from
    /// its table.
    async fn check_suspects(&self) -> bool {
        let mut is_any_gone = false;
        for table in self.all_tables() {
            is_any_gone |= table.check_suspects().await;
        }
        is_any_gone
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
            let open_segment = Arc::clone(&self.open_segment);
            let mut table = Table::new(path.clone(), folder, TableState::default(), open_segment);
            if let Some(end) = self.awaited.lock().remove(path) {
                table.end = end;
            }
            Arc::new(table)
        });
        Arc::clone(table)
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

    /// Returns the number of bytes in memory of tables that cannot be flushed.
    fn faulty_bytes(&self) -> usize {
        let tables = self.all_tables().into_iter().filter(|table| table.fault().is_some());
        tables.map(|table| table.state.lock().memtable_bytes()).sum()
    }

    /// Waits until there is room in memory for `bytes` bytes of arrays of a table. They are counted
    /// until the charge is dropped.
    async fn wait_for_room(&self, path: &TablePath, bytes: usize) -> Result<Charge, StoreError> {
        let unavailable = |reason: &str| StoreError::Unavailable { reason: reason.to_owned() };
        if self.is_closed.load(Ordering::Acquire) {
            return Err(unavailable("the server is shutting down"));
        }
        if self.log.waiting_bytes() > MAX_WAITING {
            return Err(unavailable("the disk is behind"));
        }
        self.config.memory.check()?;
        let max = self.config.memtable_bytes;
        // Tables that cannot be flushed must leave room for the others.
        if let Some(reason) = self.find(path).and_then(|table| table.fault())
            && self.faulty_bytes() > max / 2
        {
            self.wake.notify_one();
            return Err(unavailable(&format!("the table cannot be flushed: {reason}")));
        }
        let wait = async {
            loop {
                let flushed = self.flushed.notified();
                let taken = self.memory.bytes();
                // Arrays that are larger than the whole limit are admitted alone.
                if taken == 0 || taken.saturating_add(bytes) < max {
                    return self.memory.charge(bytes);
                }
                self.wake.notify_one();
                flushed.await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.map_err(|_| unavailable("rows come faster than they can be flushed"))
    }

    /// Admits the rows of a batch and submits them to the log; returns once they are durable.
    ///
    /// A batch whose arrays are large is admitted in parts, so that there is room for each in memory.
    async fn append(
        self: &Arc<Self>,
        mut waiting: Waiting,
        is_small: bool,
        reading: SemaphorePermit<'_>,
    ) -> Result<Appended, StoreError> {
        let table = self.find_or_make(waiting.table());
        let mut reading = Some(reading);
        let mut appended = Appended::default();
        loop {
            let (submitted, rest) = self.submit(&table, waiting, is_small).await?;
            let is_last = rest.is_empty();
            waiting = rest;
            if is_last {
                drop(reading.take());
            }
            let outcome = submitted.settled.await.map_err(|_| ended())?;
            let state = table.state.lock();
            // The outcome of the last frames. An earlier frame, or one that holds a line we treated
            // as repeated, may have failed: then the client retries the batch, which is idempotent.
            match outcome {
                Outcome::Durable if state.failures == submitted.failures => {}
                Outcome::Durable => {
                    let reason = "a write to the disk has failed".to_owned();
                    return Err(StoreError::Unavailable { reason });
                }
                Outcome::Failed(error) => {
                    return Err(StoreError::Unavailable { reason: error.to_string() });
                }
            }
            appended.stored += submitted.stored;
            appended.repeated += submitted.repeated;
            appended.rejected.extend(submitted.rejected);
            appended.end = state.visible_upto;
            if is_last {
                return Ok(appended);
            }
        }
    }

    /// Admits as many of the waiting lines as there is room for.
    ///
    /// Everything that can fail happens before the state of the table changes. After an error or a
    /// panic, the lines can be retried as if they had never been sent.
    async fn submit(
        self: &Arc<Self>,
        table: &Arc<Table>,
        mut waiting: Waiting,
        is_small: bool,
    ) -> Result<(Submitted, Waiting), StoreError> {
        let failed = |error: arrow::error::ArrowError| StoreError::Io { reason: error.to_string() };
        // Held until the rows are submitted, so that frames are in the log in the order of their
        // positions.
        let _turn = table.admission.lock().await;
        let of = Arc::clone(table);
        let plan = move || {
            let plan = of.state.lock().plan(&mut waiting);
            (plan, waiting)
        };
        let (plan, waiting) = self.compute(is_small, plan).await?;
        let plan = plan.map_err(failed)?;
        let room = self.wait_for_room(&table.path, plan.array_bytes()).await?;
        let memory = Arc::clone(&self.memory);
        let admitted =
            self.compute(is_small, move || plan.build(&memory)).await?.map_err(failed)?;
        drop(room);
        // Nothing fails from here on.
        let (settle, settled) = oneshot::channel();
        let submitted = Submitted {
            stored: admitted.group.rows(),
            repeated: admitted.repeated,
            rejected: admitted.rejected,
            failures: admitted.failures,
            settled,
        };
        let bytes: usize = admitted.frames.iter().map(Vec::len).sum();
        self.logged.fetch_add(bytes, Ordering::Relaxed);
        let group = (!admitted.frames.is_empty()).then_some(admitted.group);
        if let Some(group) = &group {
            table.state.lock().commit(admitted.columns, group);
        }
        let of = Arc::clone(table);
        let done = move |outcome: Outcome| {
            if let Some(group) = group {
                of.settle(group, &outcome);
            }
            // The caller may have been dropped; the rows are stored anyway.
            let _ = settle.send(outcome);
        };
        // Submitted even without frames: the outcome follows those of all earlier frames of this
        // table, including the frames of repeated lines.
        self.log.submit(admitted.frames, Box::new(done));
        if self.logged.load(Ordering::Relaxed) >= self.config.segment_bytes as usize
            || self.memory.bytes() > self.config.memtable_bytes / 2
        {
            self.wake.notify_one();
        }
        Ok((submitted, waiting))
    }

    /// Runs a computation, on a blocking thread unless it is short.
    async fn compute<T: Send + 'static>(
        &self,
        is_small: bool,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        if is_small {
            return Ok(work());
        }
        let _turn = self.builders.acquire().await.map_err(|_| ended())?;
        Ok(tokio::task::spawn_blocking(work).await?)
    }
}

/// Lines that were submitted to the log.
struct Submitted {
    stored: u64,
    repeated: u64,
    rejected: Vec<RejectedLine>,
    /// The table's count of log failures at the time when the lines were looked up.
    failures: u64,
    settled: oneshot::Receiver<Outcome>,
}

fn ended() -> StoreError {
    StoreError::Unavailable { reason: "the log has ended".to_owned() }
}

impl Table {
    /// Makes durable rows visible or gives them up. Called on the log's thread.
    fn settle(&self, group: admit::Group, outcome: &Outcome) {
        let mut state = self.state.lock();
        match outcome {
            Outcome::Durable => {
                state.publish(group);
                self.need_log(&mut state);
            }
            Outcome::Failed(_) => {
                state.give_up(&group);
                state.failures += 1;
            }
        }
        let end = state.visible_upto;
        drop(state);
        self.end.send_replace(end);
    }
}

#[async_trait]
impl Append for EmbeddedStore {
    async fn append(&self, mut batch: Batch) -> Result<Appended, StoreError> {
        batch.first_line.end_of(batch.lines.len())?;
        drop(self.inner.wait_for_room(&batch.table, 0).await?);
        if batch.on_duplicate == OnDuplicate::Replace {
            // A line that may be overwritten may also change its kind.
            batch.columns = ColumnPolicy::Evolve;
        }
        let bytes: usize = batch.lines.iter().map(bytes::Bytes::len).sum();
        let inner = Arc::clone(&self.inner);
        // If the caller is dropped, the append continues.
        let task = tokio::spawn(async move {
            let is_small = bytes <= SMALL_BATCH;
            let least = if is_small { 1 } else { MIN_READING };
            let kib = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).clamp(least, MAX_READING);
            let reading = inner.reading.acquire_many(kib).await.map_err(|_| ended())?;
            let parsed = if is_small {
                parse(&batch.lines)
            } else {
                parse_apart(&batch.lines, bytes).await?
            };
            inner.append(Waiting::new(batch, parsed), is_small, reading).await
        });
        task.await?
    }

    async fn next_line(&self, path: &TablePath, writer: &str) -> Result<u64, StoreError> {
        let table = self.inner.find(path);
        Ok(table.map_or(0, |table| table.state.lock().next_line(writer)))
    }
}

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
        loop {
            match self.inner.engine.read(table.snapshot(), from, limit).await {
                // Each retry has at least one file less.
                Err(_) if table.check_suspects().await => {}
                read => return read,
            }
        }
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
                Err(_) if self.inner.check_suspects().await => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn row_expression(&self, text: &str) -> Result<String, StoreError> {
        row_expression(text)
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn health(&self) -> Health {
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
        tokio::task::spawn_blocking(move || inner.log.close()).await?;
        Ok(())
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
