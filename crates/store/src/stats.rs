//! Figures of a store's work.

use std::time::Duration;

/// Figures of a store: its work since it was opened, and its current content. A figure is `None` if
/// the store does not measure it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// The bytes in memory of rows that are durable but not in files.
    pub memtable_bytes: Option<u64>,
    /// The bytes of rows that wait to be written to the log.
    pub log_waiting_bytes: Option<u64>,
    /// How often the log was synced, and how long that took.
    pub log_syncs: Option<Work>,
    /// How often rows of a table were flushed to files, and how long that took.
    pub flushes: Option<Work>,
    /// How often the rows of a table could not be flushed.
    pub flush_failures: Option<u64>,
    /// The bytes that are free where the store keeps its data.
    pub disk_free_bytes: Option<u64>,
}

/// A kind of work that is done again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// How often it was done.
    pub count: u64,
    /// How long that took altogether.
    pub time: Duration,
}
