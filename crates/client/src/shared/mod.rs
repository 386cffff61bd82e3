//! The state shared by `log` calls and the driver.

mod accounting;
mod admission;
mod outbox;
mod rejections;

use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use streamtable_schema::{Change, ColumnPolicy, Schema, TablePath};
use tokio::sync::Notify;

pub(crate) use accounting::Delivered;
pub(crate) use admission::NotTaken;
pub(crate) use outbox::REPORTED_ATTEMPT;

use self::rejections::Rejections;
use crate::journal::JournalKind;
use crate::media::MediaQueue;
use crate::session::Session;
use crate::spool::maintenance::{Maintenance, Task, TaskResult};
use crate::spool::media::MediaSpool;
use crate::{Appends, BatchLimits, Clock, Opened, Recovered, Rejected, RejectedMedia};

/// The state of a table, and the notifications between its two sides.
pub(crate) struct Shared {
    pub(crate) table: TablePath,
    pub(crate) writer: Arc<str>,
    pub(crate) panel_url: Option<String>,
    pub(crate) rows_url: Option<String>,
    pub(crate) print_url: bool,
    pub(crate) first_line: u64,
    pub(crate) columns: ColumnPolicy,
    pub(crate) limits: BatchLimits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) on_reject: Option<OnReject>,
    pub(crate) on_media_reject: Option<OnMediaReject>,
    /// Whether rows are only written to the spool.
    pub(crate) is_offline: bool,
    /// The media files that wait on disk.
    media_spool: Option<Arc<MediaSpool>>,
    /// Wakes the driver.
    pub(crate) wake: Notify,
    /// Wakes the recovery of orphaned spools after a stop.
    pub(crate) resumed: Notify,
    /// Wakes calls that wait for rows to be stored, or for space.
    pub(crate) progress: Notify,
    core: Mutex<Core>,
}

/// The options of an open table.
pub(crate) struct TableOptions {
    pub(crate) writer: Arc<str>,
    pub(crate) columns: ColumnPolicy,
    pub(crate) limits: BatchLimits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) on_reject: Option<OnReject>,
    pub(crate) on_media_reject: Option<OnMediaReject>,
    pub(crate) print_url: bool,
    pub(crate) is_offline: bool,
}

/// Called with each row that the backend rejects permanently.
pub(crate) type OnReject = Box<dyn Fn(Rejected) + Send + Sync>;

/// Called with each media file that the backend rejects permanently.
pub(crate) type OnMediaReject = Box<dyn Fn(RejectedMedia) + Send + Sync>;

/// The state protected by the lock. No user code runs under the lock, so no log event is emitted
/// there.
pub(crate) struct Core {
    /// A number that no other table of this process has or had.
    number: u64,
    schema: Schema,
    /// Reused to avoid allocations.
    change: Change,
    pub(crate) journal: JournalKind,
    pub(crate) session: Session,
    pub(crate) media: MediaQueue,
    /// The most recent rejected rows.
    pub(crate) rejections: Rejections,
    pub(crate) appends: Appends,
    /// Number of refused rows.
    pub(crate) refused: u64,
    pub(crate) is_finished: bool,
    /// Whether the caller has called `finish`, whose result says which rows are left.
    pub(crate) has_asked: bool,
    /// When the driver gives up, once all handles are dropped.
    pub(crate) abandoned_at: Option<Instant>,
    /// Whether the backend knows that the writer has finished.
    pub(crate) is_closed: bool,
    pub(crate) is_driver_gone: bool,
    /// Whether rows are accepted after delivery has stopped.
    pub(crate) logs_when_stopped: bool,
    /// Accounting of the rows of earlier processes.
    pub(crate) recovered: Recovered,
    /// Whether no such row is being delivered at the moment, though more may follow.
    pub(crate) is_recovery_idle: bool,
    is_announced: bool,
}

impl Core {
    pub(crate) fn new(
        schema: Schema,
        journal: JournalKind,
        session: Session,
        media: MediaQueue,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);

        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            schema,
            change: Change::default(),
            journal,
            session,
            media,
            rejections: Rejections::default(),
            appends: Appends::default(),
            refused: 0,
            is_finished: false,
            has_asked: false,
            abandoned_at: None,
            is_closed: false,
            is_driver_gone: false,
            logs_when_stopped: false,
            recovered: Recovered::default(),
            is_recovery_idle: false,
            is_announced: false,
        }
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Sends everything that waits, without waiting for more.
    pub(crate) fn flush(&mut self) {
        self.session.flush();
        self.media.session_mut().flush();
    }
}

impl Shared {
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        // A panic under the lock is a bug, but the state is consistent at every step.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn new(mut core: Core, opened: Opened, options: TableOptions) -> Self {
        let TableOptions {
            writer,
            columns,
            limits,
            clock,
            on_reject,
            on_media_reject,
            print_url,
            is_offline,
        } = options;
        Self {
            table: opened.table,
            writer,
            panel_url: opened.panel_url,
            rows_url: opened.rows_url,
            print_url,
            first_line: opened.first_line,
            columns,
            limits,
            clock,
            on_reject,
            on_media_reject,
            is_offline,
            media_spool: core.journal.spool().map(|spool| spool.media()),
            wake: Notify::new(),
            resumed: Notify::new(),
            progress: Notify::new(),
            core: Mutex::new(core),
        }
    }

    /// Returns the spool's next maintenance task, or when to call again.
    pub(crate) fn next_task(&self) -> Result<Task, Option<Instant>> {
        match self.core().journal.spool().map(|spool| spool.maintenance(now())) {
            Some(Maintenance::Now(task)) => Ok(task),
            Some(Maintenance::Wait(until)) => Err(until),
            None => Err(None),
        }
    }

    /// Called with the result of a task.
    pub(crate) fn finish_task(&self, done: TaskResult) {
        let result = self.core().journal.spool().map(|spool| spool.finish_task(done));
        if let Some(Err(error)) = result {
            tracing::error!(table = %self.table, %error, "rows cannot be synced to disk yet");
        }
    }

    /// Closes the spool: removes it, or leaves what is pending.
    pub(crate) fn close_spool(&self) {
        let mut core = self.core();
        let is_settled = core.stats().is_settled();
        let result = core.journal.spool().map(|spool| spool.close(is_settled));
        drop(core);
        if let Some(Err(error)) = result {
            tracing::error!(table = %self.table, %error, "the spool cannot be closed");
        }
    }

    /// Records whether rows of earlier processes are being delivered.
    pub(crate) fn set_recovery_idle(&self, is_idle: bool) {
        self.core().is_recovery_idle = is_idle;
        self.progress.notify_waiters();
        self.wake.notify_one();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("table", &self.table)
            .field("writer", &self.writer)
            .field("stats", &self.core().stats())
            .finish_non_exhaustive()
    }
}

/// The time used for all timers; in tests, the time of a paused runtime.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Writes a line to standard error. Errors are ignored.
pub(crate) fn eprint_line(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;
    use std::time::Duration;

    use async_trait::async_trait;
    use streamtable_schema::row;
    use tracing::{Event, Metadata, Subscriber, span};

    use super::*;
    use crate::{Append, AppendError, Appended, Backend, Settings, StopReason, StreamTable};

    /// Logs every event to a table, like a program that stores its log there.
    struct LogToTable(Arc<OnceLock<StreamTable>>);

    impl Subscriber for LogToTable {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, event: &Event<'_>) {
            if let Some(table) = self.0.get() {
                let level = event.metadata().level().as_str();
                let _ = table.try_log(row! { "level" => level });
            }
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    #[derive(Debug)]
    struct Forbidding;

    #[async_trait]
    impl Backend for Forbidding {
        async fn append(&self, _: Append) -> Result<Appended, AppendError> {
            Err(AppendError::Stopped(StopReason::Forbidden { message: "no".to_owned() }))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_event_is_emitted_under_the_lock() {
        let to = Arc::new(OnceLock::new());
        let _guard = tracing::subscriber::set_default(LogToTable(Arc::clone(&to)));
        let builder = StreamTable::builder("me/shop/log").settings(Settings::default());
        let table = builder.backend(Forbidding).open().await.unwrap();
        let table = to.get_or_init(|| table);
        table.log(row! { "level" => "INFO" }).await.unwrap();
        assert!(table.flush(Duration::from_secs(1)).await.is_err());
        assert!(table.stop_reason().is_some());
    }
}
