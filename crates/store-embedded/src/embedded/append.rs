//! The admission of batches: waiting for memory, the order of positions, and acks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use streamtable_schema::{ColumnPolicy, TablePath};
use streamtable_store::{Append, Appended, Batch, OnDuplicate, RejectedLine, StoreError};
use tokio::sync::{SemaphorePermit, oneshot};

use super::admit::{Group, Waiting, parse, parse_apart};
use super::table::Table;
use super::{EmbeddedStore, Inner, MAX_READING, folder};
use crate::log::Outcome;
use crate::memtable::Charge;

/// Batches up to this size are parsed on the caller's task, larger ones on other threads.
const SMALL_BATCH: usize = 16 << 10;

/// The minimum number of KiB that a batch counts for if it is parsed on another thread.
const MIN_READING: u32 = 512;

/// How many bytes may wait for the log before batches are refused as unavailable.
const MAX_WAITING: usize = 128 << 20;

/// How long a batch waits for memory before it is refused as unavailable.
const MEMORY_WAIT: Duration = Duration::from_secs(10);

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

impl Inner {
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
        if !self.unreadable.is_empty() {
            let folder = folder::table_folder(&self.root, path);
            if self.unreadable.iter().any(|unreadable| folder.is_within(unreadable)) {
                return Err(unavailable("the table's folder could not be read at the last start"));
            }
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
        let waited = tokio::time::timeout(MEMORY_WAIT, wait).await;
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
    fn settle(&self, group: Group, outcome: &Outcome) {
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
