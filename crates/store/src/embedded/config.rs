//! How the embedded store is kept.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::MemoryCeiling;

/// How an [`EmbeddedStore`](crate::EmbeddedStore) is kept.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The folder of everything; it is made where it is missing. One process owns it at a time.
    pub folder: PathBuf,
    /// A log file that has this many bytes is closed, and its rows are put to rest. 64 MiB by
    /// default; more makes larger files and a longer start after a crash.
    pub segment_bytes: u64,
    /// Rows are put to rest after this long even if they are few. 5 minutes by default.
    pub rest_after: Duration,
    /// Rows in memory take this many bytes at the most; then batches wait until some are at rest,
    /// and fail as [unavailable](crate::StoreError::Unavailable) after a while. 384 MiB by default.
    pub live_bytes: usize,
    /// All queries together may use this much memory; one that needs more fails. 512 MiB by
    /// default.
    pub query_bytes: usize,
    /// So many threads answer one query. As many as there are processors by default.
    pub query_threads: usize,
    /// Files at rest that were replaced are deleted after this long, so that readers that have
    /// opened the table before can finish. 1 hour by default.
    pub keep_replaced: Duration,
    /// How often all Parquet files and Delta logs are read and compared with their checksums, beside
    /// the check after each start. 1 day by default.
    pub scrub_every: Duration,
    /// How many tables are flushed at the same time. 4 by default.
    pub flushes: usize,
    /// How many queries of one [owner](crate::Query::owner) run at a time. 16 by default; more wait.
    pub max_queries_per_owner: usize,
    /// How much memory the process may use. Above it queries are refused, and the largest one is
    /// stopped.
    pub memory: Arc<MemoryCeiling>,
}

impl StoreConfig {
    /// The defaults, in a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            segment_bytes: 64 << 20,
            rest_after: Duration::from_secs(300),
            live_bytes: 384 << 20,
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
