//! The background task that flushes rows, checks files and deletes obsolete ones.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use streamtable_store::StoreError;
use tokio::sync::oneshot;

use super::Inner;
use super::table::Table;
use crate::log::{Rotated, SegmentId};
use crate::seeded_bug::{Bug, is_seeded};

/// How long the task waits after a failure before it retries.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// How long the task waits before it tries again to read files that could not be read.
const RETRY_UNREADABLE: Duration = Duration::from_secs(30);

/// How many tables are flushed when the store is closed, the largest first. The rows of the others
/// stay in the log and are read at the next start.
const FLUSHED_AT_STOP: usize = 128;

/// Tables with this many bytes in memory are always flushed when the store is closed.
const LARGE_AT_STOP: usize = 1 << 20;

/// If more tables than this are flushed at once, the memory of their Delta logs is freed
/// immediately, not only after they were idle for a round.
const MANY_TABLES: usize = 64;

/// Which tables to flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// All.
    All,
    /// All except those that failed a short time ago.
    Due,
    /// The largest, so that closing the store is quick.
    Large,
}

/// Runs until the store is closed or dropped: scrubs and collects garbage, and flushes when enough
/// rows are in memory or rows have waited for long enough.
pub(super) async fn run(inner: Arc<Inner>) {
    // In one task, so that dropping the store ends both and releases its folder.
    tokio::select! {
        () = scrub(Arc::clone(&inner)) => {}
        () = flush_for_ever(Arc::clone(&inner)) => {}
        () = retry_unreadable(inner) => {}
    }
}

/// Tries to read the files again that could not be read, so that their rows are served as soon as
/// possible.
async fn retry_unreadable(inner: Arc<Inner>) {
    loop {
        tokio::time::sleep(RETRY_UNREADABLE).await;
        for table in inner.all_tables() {
            table.retry_unreadable().await;
        }
    }
}

/// Scrubs all flushed files after the start and then periodically, so that damage is found before a
/// query needs the rows, and deletes files that are no longer needed.
async fn scrub(inner: Arc<Inner>) {
    loop {
        for table in inner.all_tables() {
            let scrubbed = async {
                table.verify().await?;
                table.collect_garbage(inner.config.keep_replaced).await
            };
            if let Err(error) = scrubbed.await {
                tracing::error!(table = %table.path, %error, "a table's files cannot be checked");
            }
        }
        tokio::time::sleep(inner.config.scrub_every).await;
    }
}

async fn flush_for_ever(inner: Arc<Inner>) {
    let mut pause = inner.config.flush_interval;
    loop {
        tokio::select! {
            () = inner.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        if inner.is_closed.load(Ordering::Acquire) {
            return;
        }
        pause = match inner.flush(Which::Due).await {
            Ok(()) if inner.all_tables().iter().all(|table| table.fault().is_none()) => {
                inner.config.flush_interval
            }
            // Each failure was logged with its table.
            _ => AFTER_FAILURE.min(inner.config.flush_interval),
        };
    }
}

impl Inner {
    /// Flushes the durable rows of tables, then deletes log files that are no longer needed.
    ///
    /// A table that cannot be flushed does not stop the others. If there is one, an error is
    /// returned after all others are flushed.
    pub(super) async fn flush(&self, which: Which) -> Result<(), StoreError> {
        self.logged.store(0, Ordering::Relaxed);
        let (dirty, idle): (Vec<_>, Vec<_>) =
            self.all_tables().into_iter().partition(|table| table.state.lock().is_dirty());
        for table in idle {
            table.release();
        }
        let tables = chosen(dirty, which);
        if tables.is_empty() {
            return self.trim(self.open_segment.get()).await;
        }
        let rotated = self.rotate().await?;
        let next = rotated.next;
        if is_seeded(Bug::EarlyTrim) {
            self.log.trim(next)()?;
        }
        let (keep, release) = (self.config.keep_replaced, tables.len() > MANY_TABLES);
        let count = tables.len();
        let failures: Vec<String> = futures_util::stream::iter(tables)
            .map(|table| async move {
                let start = Instant::now();
                let flushed = table.flush(rotated, keep, release).await;
                match &flushed {
                    Ok(()) => self.flushes.add(start),
                    Err(_) => drop(self.flush_failures.fetch_add(1, Ordering::Relaxed)),
                }
                self.flushed.notify_waiters();
                flushed.err().map(|error| format!("{}: {error}", table.path))
            })
            .buffer_unordered(self.config.flushes.max(1))
            .filter_map(std::future::ready)
            .collect()
            .await;
        self.trim(next).await?;
        match failures.first() {
            None => Ok(()),
            Some(first) => {
                let failed = failures.len();
                let reason = format!("{failed} of {count} tables cannot be flushed: {first}");
                Err(StoreError::Io { reason })
            }
        }
    }

    /// Closes the current log file.
    async fn rotate(&self) -> Result<Rotated, StoreError> {
        let (send, next) = oneshot::channel();
        let open_segment = Arc::clone(&self.open_segment);
        self.log.rotate(move |rotated| {
            open_segment.set(rotated.next);
            let _ = send.send(rotated);
        });
        next.await.map_err(|_| StoreError::Unavailable { reason: "the log has ended".to_owned() })
    }

    /// Deletes the log files before `next`, except those that a table still needs.
    async fn trim(&self, next: SegmentId) -> Result<(), StoreError> {
        let tables = self.all_tables();
        let needed = tables.iter().filter_map(|table| table.state.lock().oldest_segment);
        let needed = needed.chain(self.unreadable_segment).min();
        let trim = self.log.trim(needed.map_or(next, |needed| needed.min(next)));
        let trimmed = tokio::task::spawn_blocking(trim).await;
        Ok(trimmed.map_err(|error| StoreError::Io { reason: error.to_string() })??)
    }
}

fn chosen(mut tables: Vec<Arc<Table>>, which: Which) -> Vec<Arc<Table>> {
    match which {
        Which::All => {}
        Which::Due => {
            let now = Instant::now();
            tables.retain(|table| !table.is_backing_off(now));
        }
        Which::Large => {
            let bytes = |table: &Arc<Table>| table.state.lock().memtable_bytes();
            tables.sort_by_cached_key(|table| Reverse(bytes(table)));
            let mut place = 0;
            tables.retain(|table| {
                place += 1;
                place <= FLUSHED_AT_STOP || bytes(table) >= LARGE_AT_STOP
            });
        }
    }
    tables
}

impl Table {
    /// Frees the memory that a table needs only for flushes, unless it is being flushed.
    fn release(&self) {
        if let Ok(mut flush_state) = self.flush_state.try_lock() {
            flush_state.delta.release();
        }
    }
}
