//! The state shared by `log` calls and the driver.

use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;
use streamtable_schema::{Change, ColumnPolicy, Schema, TablePath};
use streamtable_wire::{HistoryLine, Logged, MAX_LINE_BYTES};
use tokio::sync::Notify;

use crate::encode::{Encoded, with_memory};
use crate::journal::{Journal, JournalError, Kept};
use crate::media::MediaQueue;
use crate::seeded_bug::{self, Bug};
use crate::session::{Session, Step};
use crate::spool::chore::{Chore, Done, Job};
use crate::spool::pictures::Pictures;
use crate::{
    Append, AppendError, Appended, BatchLimits, Clock, Lines, MediaFile, Recovered, Refusal,
    Rejected, Stats, StopReason, Upload,
};

/// After how many failed attempts in a row a warning is logged: some seconds, by the default
/// [`RetryPolicy`](crate::RetryPolicy).
pub(crate) const REPORTED_ATTEMPT: u32 = 5;

/// A table's state, and how its two sides wake each other.
pub(crate) struct Shared {
    pub(crate) table: TablePath,
    pub(crate) writer: Arc<str>,
    pub(crate) panel_url: Option<String>,
    pub(crate) rows_url: Option<String>,
    pub(crate) quiet: bool,
    pub(crate) first_line: u64,
    pub(crate) columns: ColumnPolicy,
    pub(crate) limits: BatchLimits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) on_reject: Option<OnReject>,
    /// Whether rows are only written to the spool.
    pub(crate) is_offline: bool,
    /// The media files that wait on disk.
    pictures: Option<Arc<Pictures>>,
    /// Wakes the driver.
    pub(crate) wake: Notify,
    /// Wakes the recovery of orphaned spools after a stop.
    pub(crate) resumed: Notify,
    /// Wakes calls that wait for rows to be stored, or for space.
    pub(crate) progress: Notify,
    core: Mutex<Core>,
}

/// Called with each row that the backend rejects permanently.
pub(crate) type OnReject = Box<dyn Fn(Rejected) + Send + Sync>;

/// Why a row was not accepted.
pub(crate) enum NotTaken {
    Refused(Refusal),
    /// There may be space once more than `delivered` is delivered.
    NoRoom {
        bytes: u64,
        limit: u64,
        delivered: Delivered,
    },
}

impl From<Refusal> for NotTaken {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// How much has left the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivered {
    rows: u64,
    files: u64,
}

/// The state protected by the lock. No user code runs under the lock, so no log event is emitted
/// there.
pub(crate) struct Core {
    /// A number that no other table of this process has or had.
    number: u64,
    schema: Schema,
    /// Reused to avoid allocations.
    change: Change,
    pub(crate) journal: Kept,
    pub(crate) session: Session,
    pub(crate) media: MediaQueue,
    pub(crate) is_finished: bool,
    /// When the driver gives up, once all handles are dropped.
    pub(crate) abandoned_at: Option<Instant>,
    /// Whether the backend knows that the writer has finished.
    pub(crate) is_closed: bool,
    pub(crate) is_driver_gone: bool,
    /// Accounting of the rows of earlier processes.
    pub(crate) recovered: Recovered,
    /// Whether no such row is being delivered at the moment, though more may follow.
    pub(crate) is_recovery_idle: bool,
    is_announced: bool,
}

impl Core {
    pub(crate) fn new(schema: Schema, journal: Kept, session: Session, media: MediaQueue) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);

        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            schema,
            change: Change::default(),
            journal,
            session,
            media,
            is_finished: false,
            abandoned_at: None,
            is_closed: false,
            is_driver_gone: false,
            recovered: Recovered::default(),
            is_recovery_idle: false,
            is_announced: false,
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let session = &self.session;
        Stats {
            logged: session.line_count(),
            acked: session.acked(),
            pending: session.line_count() - session.settled(),
            rejected: session.rejected(),
            dropped: 0,
            media: self.media.stats(),
            recovered: self.recovered,
        }
    }

    /// Returns a number that grows with everything that is settled.
    pub(crate) fn progress(&self) -> u64 {
        let Recovered { acked, rejected, .. } = self.recovered;
        self.session.settled() + self.media.session().settled() + acked + rejected
    }

    fn delivered(&self) -> Delivered {
        Delivered { rows: self.session.settled(), files: self.media.session().settled() }
    }

    /// Returns why rows or files are not delivered any more.
    pub(crate) fn stop_reason(&self) -> Option<&StopReason> {
        self.session.stop_reason().or_else(|| self.media.session().stop_reason())
    }

    /// Returns why nothing that waits is delivered any more. Rows are still delivered if only files
    /// are stopped, and the other way round.
    pub(crate) fn stuck_reason(&self) -> Option<&StopReason> {
        let sessions = [&self.session, self.media.session()].into_iter();
        let waiting = sessions.filter(|session| session.settled() < session.line_count());
        let mut reasons = waiting.map(Session::stop_reason);
        let first = reasons.next()??;
        reasons.all(|reason| reason.is_some()).then_some(first)
    }

    /// Returns the most recent error, if something is still pending.
    pub(crate) fn last_error(&self) -> Option<String> {
        let errors = [self.session.last_error(), self.media.session().last_error()];
        errors.into_iter().flatten().next().map(str::to_owned)
    }

    /// Checks whether a row may be accepted.
    fn check(&mut self, row: &mut Encoded) -> Result<(), Refusal> {
        if self.is_finished {
            return Err(Refusal::Finished);
        }
        if self.is_driver_gone {
            return Err(Refusal::DriverGone);
        }
        if let Some(reason) = self.stop_reason() {
            return Err(Refusal::Stopped(reason.clone()));
        }
        Ok(row.check(self.number, self.schema.check(&mut self.change))?)
    }

    /// Stores a row in the journal, if there is space for it and its files.
    fn keep(&mut self, row: &Encoded) -> Result<(), Refusal> {
        if !row.files.is_empty() {
            let full = |(bytes, limit)| Refusal::Full { bytes, limit };
            self.media.check_room(&row.files).map_err(full)?;
        }
        Ok(self.journal.journal().append(&row.line)?)
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

    #[expect(clippy::too_many_arguments, reason = "called once, by the builder")]
    pub(crate) fn new(
        mut core: Core,
        opened: crate::Opened,
        writer: Arc<str>,
        columns: ColumnPolicy,
        limits: BatchLimits,
        clock: Arc<dyn Clock>,
        on_reject: Option<OnReject>,
        quiet: bool,
        is_offline: bool,
    ) -> Self {
        Self {
            table: opened.table,
            writer,
            panel_url: opened.panel_url,
            rows_url: opened.rows_url,
            quiet,
            first_line: opened.first_line,
            columns,
            limits,
            clock,
            on_reject,
            is_offline,
            pictures: core.journal.spool().map(|spool| spool.pictures()),
            wake: Notify::new(),
            resumed: Notify::new(),
            progress: Notify::new(),
            core: Mutex::new(core),
        }
    }

    /// Accepts one row, or returns why not. Waits for nothing but the lock.
    pub(crate) fn log_row<T: Serialize + ?Sized>(&self, row: &T) -> Result<(), NotTaken> {
        let logged = Logged { writer: &self.writer, at: self.clock.now() };
        with_memory(|encoded| {
            encoded.write(row, logged).map_err(Refusal::from)?;
            self.log_encoded(encoded)
        })
    }

    fn log_encoded(&self, row: &mut Encoded) -> Result<(), NotTaken> {
        let bytes = row.line.len();
        if bytes > MAX_LINE_BYTES {
            return Err(Refusal::TooLong { bytes, limit: MAX_LINE_BYTES }.into());
        }
        if let Some(pictures) = self.pictures.as_ref().filter(|_| !row.files.is_empty()) {
            self.put_pictures(row, pictures)?;
        }
        let mut core = self.core();
        let core_ref = &mut *core;
        core_ref.check(row)?;
        match core_ref.keep(row) {
            Err(Refusal::Full { bytes, limit })
                if !core_ref.stats().is_settled() && !self.is_offline =>
            {
                // A full buffer has no reason to wait for more rows.
                core_ref.flush();
                self.wake.notify_one();
                return Err(NotTaken::NoRoom { bytes, limit, delivered: core_ref.delivered() });
            }
            kept => kept?,
        }
        core_ref.schema.apply(&mut core_ref.change);
        row.taken_by(core_ref.number);
        let now = now();
        let mut is_news = core_ref.session.logged(now, bytes);
        let is_offline = self.is_offline;
        // Offline tables never send files from memory.
        let files = row.files.drain(..).map(|file| match is_offline {
            true => MediaFile { bytes: bytes::Bytes::new(), ..file },
            false => file,
        });
        is_news |= core_ref.media.add(now, files);
        drop(core);
        if is_news {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Writes a row's files to disk before the row, without holding the lock: they may be large.
    ///
    /// If the row is refused afterwards, its files are removed with the spool.
    fn put_pictures(&self, row: &mut Encoded, pictures: &Pictures) -> Result<(), Refusal> {
        let new: Vec<MediaFile> = {
            let mut core = self.core();
            core.check(row)?;
            core.media.unknown(&row.files).cloned().collect()
        };
        let put = new.iter().try_for_each(|file| pictures.put(file));
        put.map_err(|error| Refusal::Journal { reason: error.to_string() })
    }

    /// Makes the accepted rows as durable as the journal does.
    pub(crate) fn commit(&self) -> Result<(), JournalError> {
        let mut core = self.core();
        let Some(spool) = core.journal.spool() else { return Ok(()) };
        let was_due = spool.is_sync_due();
        let result = spool.commit();
        let is_news = !was_due && spool.is_sync_due();
        drop(core);
        if is_news {
            self.wake.notify_one();
        }
        result
    }

    /// Returns the spool's next maintenance job, or when to ask again.
    pub(crate) fn next_chore(&self) -> Result<Job, Option<Instant>> {
        match self.core().journal.spool().map(|spool| spool.chore(now())) {
            Some(Chore::Now(job)) => Ok(job),
            Some(Chore::Wait(until)) => Err(until),
            None => Err(None),
        }
    }

    /// Called with the result of a job.
    pub(crate) fn chore_done(&self, done: Done) {
        let result = self.core().journal.spool().map(|spool| spool.done(done));
        if let Some(Err(error)) = result {
            tracing::error!(table = %self.table, %error, "rows cannot be made safe on disk yet");
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

    /// Waits until there may be space: the buffer has shrunk, or never will.
    pub(crate) async fn room(&self, before: Delivered) {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            {
                let core = self.core();
                let is_over =
                    core.is_finished || core.is_driver_gone || core.stop_reason().is_some();
                if is_over || core.delivered() != before {
                    return;
                }
            }
            progress.await;
        }
    }

    /// Returns the panel's URL, the first time it is called after a row was accepted.
    pub(crate) fn announce(&self) -> Option<&str> {
        let url = self.panel_url.as_deref()?;
        let mut core = self.core();
        let is_first = !core.is_announced && core.session.line_count() > 0;
        core.is_announced |= is_first;
        is_first.then_some(url)
    }

    /// Returns the append to send now, or when to ask again.
    pub(crate) fn next_append(&self) -> Result<Append, Option<Instant>> {
        let mut core = self.core();
        let now = now();
        let (first, max_lines) = match core.session.poll(now) {
            Step::Append { first, max_lines } => (first, max_lines),
            Step::Wait(until) => return Err(until),
        };
        if let Some(spool) = core.journal.spool() {
            // An error is reported to the `log` call of these lines.
            let _ = spool.commit();
        }
        let lines = match core.journal.journal().read(first, max_lines, self.limits.max_bytes) {
            Ok(lines) if (1..=max_lines).contains(&lines.len()) => lines,
            unusable => {
                let reason = match unusable {
                    Ok(lines) => format!("it gave {} lines, not 1 to {max_lines}", lines.len()),
                    Err(error) => error.to_string(),
                };
                let message = format!("the journal cannot be read: {reason}");
                core.session.stop(StopReason::Refused { message });
                self.progress.notify_waiters();
                return Err(None);
            }
        };
        let (number, lines) = seeded_bug::in_append(first, lines, core.session.is_repeating());
        core.session.sent(now, lines.len() as u64, lines.bytes());
        if seeded_bug::is_seeded(Bug::EarlyTrim)
            && let Some(spool) = core.journal.spool()
        {
            let _ = spool.trim(first + lines.len() as u64);
        }
        drop(core);
        Ok(Append {
            table: self.table.clone(),
            writer: Arc::clone(&self.writer),
            first_line: self.first_line + number,
            lines,
            columns: self.columns,
            timeout: self.limits.append_timeout,
        })
    }

    /// Called with the response to an append of these lines.
    pub(crate) fn appended(&self, lines: &Lines, answer: Result<Appended, AppendError>) {
        if let Err(error) = &answer {
            tracing::debug!(table = %self.table, %error, "append failed");
        }
        let mut core = self.core();
        let first = core.session.settled();
        let answer = answer.map(|appended| Appended {
            // Zero covers nothing, as every number before the first line does.
            end: appended.end.map(|end| end.saturating_sub(self.first_line)),
            // The backend counts from where the table was when it was opened.
            rejected: appended
                .rejected
                .into_iter()
                .filter_map(|(line, why)| Some((line.checked_sub(self.first_line)?, why)))
                .collect(),
            ..appended
        });
        let settled = core.session.answered(now(), answer);
        let until = core.session.settled();
        let rejected: Vec<_> = settled
            .rejected
            .into_iter()
            .map(|(line, reason)| {
                let text = usize::try_from(line - first).ok().and_then(|i| lines.iter().nth(i));
                (line, text.unwrap_or_default(), reason)
            })
            .collect();
        // Trimmed lines are gone, so rejected rows are recorded before.
        let mut kept = Ok(());
        if let Some(spool) = core.journal.spool() {
            for (line, text, reason) in &rejected {
                kept = kept.and(spool.refused(*line, text, reason));
            }
        }
        let trimmed = if until > first { core.journal.journal().trim(until) } else { Ok(()) };
        let stopped = core.session.stop_reason().cloned();
        let trouble = core.session.last_error().map(str::to_owned);
        let is_trouble_new = core.session.attempts() == REPORTED_ATTEMPT;
        drop(core);
        self.progress.notify_waiters();
        if let Some(error) = trouble.filter(|_| is_trouble_new) {
            tracing::warn!(table = %self.table, %error, "rows wait and are sent again");
        }
        if let Err(error) = trimmed {
            tracing::warn!(table = %self.table, %error, "the journal cannot be trimmed");
        }
        if let Some(reason) = stopped {
            tracing::error!(table = %self.table, %reason, "the stream has stopped, rows are kept");
        }
        if let Err(error) = kept {
            tracing::warn!(table = %self.table, %error, "refused rows cannot be written down");
        }
        for (_, text, reason) in rejected {
            self.reject(text, reason);
        }
    }

    /// Returns the upload to send now, or when to ask again.
    pub(crate) fn next_upload(&self) -> Result<Upload, Option<Instant>> {
        let files = self.core().media.next(now())?;
        Ok(Upload { table: self.table.clone(), files, timeout: MediaQueue::timeout() })
    }

    /// Called with the response to an upload.
    pub(crate) fn uploaded(&self, answer: Result<Appended, AppendError>) {
        if let Err(error) = &answer {
            tracing::debug!(table = %self.table, %error, "upload failed");
        }
        let mut core = self.core();
        let settled = core.media.answered(now(), answer);
        let stopped = core.media.session().stop_reason().cloned();
        let trouble = core.media.session().last_error().map(str::to_owned);
        let is_trouble_new = core.media.session().attempts() == REPORTED_ATTEMPT;
        drop(core);
        self.progress.notify_waiters();
        if let Some(error) = trouble.filter(|_| is_trouble_new) {
            tracing::warn!(table = %self.table, %error, "media files wait and are sent again");
        }
        if let Some(reason) = stopped {
            tracing::error!(table = %self.table, %reason, "media files are kept, none is sent");
        }
        if let Some(pictures) = &self.pictures {
            for path in &settled.paths {
                // A file that cannot be removed is sent again by the next process, which changes
                // nothing.
                let _ = pictures.remove(path);
            }
        }
        for (path, reason) in settled.refused {
            tracing::warn!(table = %self.table, %path, %reason, "a media file was refused");
        }
    }

    pub(crate) fn reject(&self, line: &[u8], reason: String) {
        tracing::warn!(table = %self.table, %reason, "a row was refused");
        if let Some(on_reject) = &self.on_reject {
            let line = String::from_utf8_lossy(line).into_owned();
            let row = HistoryLine::parse(&line).map(|line| line.row).unwrap_or_default();
            // One rejected row must not stop the delivery of the others. The panic hook reports the
            // panic.
            let call = || on_reject(Rejected { row, line, reason });
            let _ = catch_unwind(AssertUnwindSafe(call));
        }
    }
}

impl From<JournalError> for Refusal {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Full { bytes, limit } => Self::Full { bytes, limit },
            JournalError::TooLong { bytes, limit } => {
                let bound = |n| usize::try_from(n).unwrap_or(usize::MAX);
                Self::TooLong { bytes: bound(bytes), limit: bound(limit) }
            }
            JournalError::Io { reason } => Self::Journal { reason },
        }
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
pub(crate) fn say(line: fmt::Arguments<'_>) {
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
    use crate::{Backend, Settings, StreamTable};

    /// Logs every event to a table, as a program may do that stores its log there.
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
    async fn no_event_is_told_under_the_lock() {
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
