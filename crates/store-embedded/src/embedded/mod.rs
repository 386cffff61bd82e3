//! The store on one machine: a folder that is owned by one process.

mod admit;
mod append;
mod check;
mod config;
mod delta;
mod flush;
mod flusher;
mod folder;
mod lines;
mod parquet;
mod read;
mod rebuild;
mod recover;
mod state;
mod sums;
mod table;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use streamtable_schema::TablePath;
use streamtable_store::{Health, Store, StoreError, StoreStats};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;

pub use config::StoreConfig;
pub(crate) use folder::TABLES;
pub use folder::damaged_files;
pub(crate) use parquet::{BLOCK, block_sums};
pub use recover::Recovery;
pub(crate) use state::DataFile;
pub(crate) use sums::Sums;
pub(crate) use table::Snapshot;

use crate::log::{LocalLog, SegmentId};
use crate::memtable::Memory;
use crate::place::Folder;
use crate::query::Engine;
use crate::tally::{Tally, work};
use flusher::Which;
use state::TableState;
use table::{OpenSegment, Table};

/// How many KiB of lines may be parsed at once. Rows take about ten times as much memory as their
/// lines, and a higher limit would not be faster.
const MAX_READING: u32 = 16 << 10;

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
    /// The folder of `tables`: that of the store, or one in a bucket.
    root: Folder,
    log: LocalLog,
    tables: RwLock<BTreeMap<TablePath, Arc<Table>>>,
    open_segment: Arc<OpenSegment>,
    /// Folders that could not be read at start; tables in them accept no rows.
    unreadable: Vec<Folder>,
    /// The oldest log file that must be kept, because something could not be read at start.
    unreadable_segment: Option<SegmentId>,
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
    /// Flushes of single tables.
    flushes: Tally,
    flush_failures: AtomicU64,
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

    fn find(&self, path: &TablePath) -> Option<Arc<Table>> {
        self.tables.read().get(path).cloned()
    }

    fn find_or_make(&self, path: &TablePath) -> Arc<Table> {
        if let Some(table) = self.find(path) {
            return table;
        }
        let mut tables = self.tables.write();
        let table = tables.entry(path.clone()).or_insert_with(|| {
            let folder = folder::table_folder(&self.root, path);
            let open_segment = Arc::clone(&self.open_segment);
            let mut table = Table::new(path.clone(), folder, TableState::default(), open_segment);
            if let Some(end) = self.awaited.lock().remove(path) {
                table.end = end;
            }
            Arc::new(table)
        });
        Arc::clone(table)
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

    async fn stats(&self) -> StoreStats {
        let inner = &self.inner;
        let folder = inner.config.folder.clone();
        let free = tokio::task::spawn_blocking(move || fs4::available_space(folder)).await;
        StoreStats {
            memtable_bytes: Some(inner.memory.bytes() as u64),
            log_waiting_bytes: Some(inner.log.waiting_bytes() as u64),
            log_syncs: Some(work(inner.log.syncs())),
            flushes: Some(work(&inner.flushes)),
            flush_failures: Some(inner.flush_failures.load(Ordering::Relaxed)),
            disk_free_bytes: free.ok().and_then(Result::ok),
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
