//! The configuration of the embedded store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use streamtable_store::MemoryCeiling;

use crate::place::TablesPlace;

/// The configuration of an [`EmbeddedStore`](crate::EmbeddedStore).
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The folder of all data; it is created if it is missing. Only one process can own it.
    pub folder: PathBuf,
    /// Where the tables are, if not in `folder`. The log is always in `folder`.
    pub tables: Option<TablesPlace>,
    /// A log file that has this many bytes is closed, and its rows are flushed. 64 MiB by default.
    /// A higher value makes larger Parquet files and a slower start after a crash.
    pub segment_bytes: u64,
    /// Rows are flushed after this time even if there are few. 5 minutes by default.
    pub flush_interval: Duration,
    /// The maximum number of bytes of rows in memory. Above it, batches wait until rows are
    /// flushed, and fail as [unavailable](streamtable_store::StoreError::Unavailable) after a
    /// while. 384 MiB by default.
    pub memtable_bytes: usize,
    /// The maximum memory of all queries together; a query that needs more fails. 512 MiB by
    /// default.
    pub query_bytes: usize,
    /// The number of threads that answer one query. The number of processors by default.
    pub query_threads: usize,
    /// Files that were replaced by compaction are deleted after this time, so that readers that
    /// opened the table before can finish. 1 hour by default.
    pub keep_replaced: Duration,
    /// How often all Parquet files and Delta logs are scrubbed (read and compared with their
    /// checksums), in addition to the scrub after each start. 1 day by default.
    pub scrub_every: Duration,
    /// How many tables are flushed at the same time. 4 by default.
    pub flushes: usize,
    /// How many queries of one [owner](streamtable_store::SqlQuery::owner) run at a time; more wait.
    /// 16 by default.
    pub max_queries_per_owner: usize,
    /// The ceiling on the memory of the process. Above it, queries are refused, and the largest one
    /// is stopped.
    pub memory: Arc<MemoryCeiling>,
}

impl StoreConfig {
    /// Returns the defaults, in a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            tables: None,
            segment_bytes: 64 << 20,
            flush_interval: Duration::from_secs(300),
            memtable_bytes: 384 << 20,
            query_bytes: 512 << 20,
            query_threads: std::thread::available_parallelism().map_or(2, usize::from),
            keep_replaced: Duration::from_secs(3600),
            scrub_every: Duration::from_secs(24 * 3600),
            flushes: 4,
            max_queries_per_owner: 16,
            memory: Arc::default(),
        }
    }
}
