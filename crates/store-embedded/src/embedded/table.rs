//! One table.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use streamtable_schema::TablePath;
use streamtable_store::{Problem, ProblemKind, StoreError};
use tokio::sync::watch;

use super::delta::DeltaFolder;
use super::state::{DataFile, TableState};
use super::sums::Sums;
use crate::columns::Columns;
use crate::log::SegmentId;
use crate::place::Folder;
use crate::ranges::Ranges;

/// The backoff after a table's first failed flush; it doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_secs(5);

/// The longest backoff between two attempts to flush a table.
const MAX_BACKOFF: Duration = Duration::from_secs(300);

/// One table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) path: TablePath,
    pub(super) folder: Folder,
    pub(super) state: Mutex<TableState>,
    pub(super) end: watch::Sender<u64>,
    /// Held by the batch that is being admitted, from the decision on its lines until it is
    /// submitted to the log.
    pub(super) admission: tokio::sync::Mutex<()>,
    pub(super) flush_state: tokio::sync::Mutex<FlushState>,
    /// The checksums of its files.
    pub(super) sums: Arc<Sums>,
    fault: Mutex<Option<Fault>>,
    open_segment: Arc<OpenSegment>,
}

/// The number of the first log file after those that the last rotation closed.
///
/// Rows that become durable now are in this file or a later one.
#[derive(Debug, Default)]
pub(super) struct OpenSegment(AtomicU64);

impl OpenSegment {
    pub(super) fn get(&self) -> SegmentId {
        SegmentId(self.0.load(Ordering::Acquire))
    }

    pub(super) fn set(&self, id: SegmentId) {
        self.0.store(id.0, Ordering::Release);
    }
}

/// State that only one task at a time may change.
#[derive(Debug)]
pub(super) struct FlushState {
    pub(super) delta: DeltaFolder,
    /// Files that were replaced, and when; readers may still have them open.
    pub(super) replaced: Vec<(Instant, String)>,
    /// Whether the Delta log cannot be read, so that the next commit must begin a new one.
    pub(super) is_delta_lost: bool,
    /// Whether the Delta log differs from the state, so that a commit is needed even without new
    /// rows.
    pub(super) must_commit: bool,
}

/// Why a table cannot be flushed, and when to try again.
#[derive(Debug)]
struct Fault {
    reason: String,
    failures: u32,
    retry_at: Instant,
}

/// A snapshot of a table, for a reader.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) folder: Folder,
    pub(crate) columns: Arc<Columns>,
    pub(crate) files: Arc<Vec<DataFile>>,
    pub(crate) memtable: Vec<arrow::array::RecordBatch>,
    /// Deleted positions.
    pub(crate) deleted: Ranges,
    pub(crate) end: u64,
    pub(crate) has_steps: bool,
    /// The checksums of `files`.
    pub(crate) sums: Arc<Sums>,
}

impl Table {
    pub(super) fn new(
        path: TablePath,
        folder: Folder,
        state: TableState,
        open_segment: Arc<OpenSegment>,
    ) -> Self {
        let flush_state = FlushState {
            delta: DeltaFolder::new(folder.clone()),
            replaced: Vec::new(),
            is_delta_lost: false,
            must_commit: false,
        };
        Self {
            path,
            folder,
            end: watch::Sender::new(state.visible_upto),
            state: Mutex::new(state),
            admission: tokio::sync::Mutex::new(()),
            flush_state: tokio::sync::Mutex::new(flush_state),
            sums: Arc::default(),
            fault: Mutex::default(),
            open_segment,
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let state = self.state.lock();
        Snapshot {
            folder: self.folder.clone(),
            columns: Arc::clone(&state.columns),
            files: state.readable_files(),
            memtable: state.memtable.batches(),
            deleted: state.deleted.clone(),
            end: state.visible_upto,
            has_steps: state.last_step.is_some(),
            sums: Arc::clone(&self.sums),
        }
    }

    /// Records that rows that have just become durable are only in the log.
    pub(super) fn need_log(&self, state: &mut TableState) {
        let open = self.open_segment.get();
        state.oldest_segment.get_or_insert(open);
    }

    /// Returns whether the last flush failed and it is too early for a retry.
    pub(super) fn is_backing_off(&self, now: Instant) -> bool {
        self.fault.lock().as_ref().is_some_and(|fault| now < fault.retry_at)
    }

    /// Returns why the table cannot be flushed.
    pub(super) fn fault(&self) -> Option<String> {
        self.fault.lock().as_ref().map(|fault| fault.reason.clone())
    }

    /// Records whether the table could be flushed.
    pub(super) fn note_flush(&self, flushed: &Result<(), StoreError>) {
        let mut fault = self.fault.lock();
        match flushed {
            Ok(()) => {
                if fault.take().is_some() {
                    tracing::info!(table = %self.path, "the table can be flushed again");
                }
            }
            Err(error) => {
                let failures = fault.as_ref().map_or(0, |it| it.failures) + 1;
                let backoff = FIRST_BACKOFF.saturating_mul(1 << failures.min(10).saturating_sub(1));
                let retry_at = Instant::now() + backoff.min(MAX_BACKOFF);
                tracing::error!(
                    table = %self.path,
                    %error,
                    failures,
                    "the table cannot be flushed; its rows stay in the log"
                );
                *fault = Some(Fault { reason: error.to_string(), failures, retry_at });
            }
        }
    }

    /// Returns the problems of the table.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = {
            let state = self.state.lock();
            let unreadable = state.unreadable_files().map(|(file, reason)| {
                let name = &file.name;
                let detail = format!("{name} cannot be read now and is tried again: {reason}");
                Problem::new(ProblemKind::Unreadable, detail).with_rows(file.rows)
            });
            state.problems.iter().cloned().chain(unreadable).collect::<Vec<_>>()
        };
        problems.extend(self.fault().map(|reason| {
            let detail = format!("the rows stay in the log: {reason}");
            Problem::new(ProblemKind::NotFlushed, detail)
        }));
        problems
    }

    /// Logs a problem of the table and remembers it.
    pub(super) fn report(&self, problem: Problem) {
        tracing::error!(
            table = %self.path,
            kind = problem.kind.as_str(),
            rows = problem.rows,
            "{}",
            problem.detail
        );
        self.state.lock().report(problem);
    }

    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Folder) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let folder = self.folder.clone();
        tokio::task::spawn_blocking(move || work(&folder)).await?
    }
}

/// Sorts files by their rows.
pub(super) fn sorted(mut files: Vec<DataFile>) -> Vec<DataFile> {
    files.sort_by_key(|file| file.first);
    files
}
