//! The handle through which a program logs rows.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use streamtable_schema::{Row, Schema, TablePath, Timestamp, token::row_to_hand_back};
use streamtable_transport::Transport;
use streamtable_wire::TakeRow;
use tokio::time::{Instant, timeout_at};

use crate::receipt::{LineSet, Receipt};
use crate::rows::{IntoRows, Rows};
use crate::session::reachable;
use crate::shared::{Core, Delivered, NotTaken, Shared, eprint_line, now};
use crate::{Builder, FlushError, FlushFailure, LogError, OpenError, Refusal, Refused, Stats};

/// A table to which rows are appended.
///
/// Cheap to clone. All clones log as the same writer, and rows keep the order in which their `log`
/// calls returned. A task on the runtime in which the table was opened delivers the rows in the
/// background.
///
/// Call [`finish`](Self::finish) at the end: it waits until every row is stored. If the last handle
/// is dropped instead, delivery continues for at most [`Builder::drop_timeout`] while the runtime
/// exists, and rows that are left are reported as an error in the log.
#[derive(Clone, Debug)]
pub struct StreamTable {
    handle: Arc<Handle>,
}

impl StreamTable {
    /// Opens a table on a W&B-compatible server over the default transport (hyper and rustls).
    /// Creates the table if it does not exist.
    ///
    /// `name` is `entity/project/table`, `project/table` or `table`. Missing parts come from the
    /// settings of this machine ([`Settings`](crate::Settings)); without them, the project is
    /// [`DEFAULT_PROJECT`](crate::DEFAULT_PROJECT), which is reported on standard error, and the
    /// entity is the server's default for the key. If the server
    /// cannot be reached, the call returns an error after [`Builder::open_timeout`].
    ///
    /// ```no_run
    /// use streamtable::{StreamTable, row};
    ///
    /// #[tokio::main]
    /// async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let table = StreamTable::open("my-team/shop/requests").await?;
    ///     table.log(row! { "path" => "/", "ms" => 7 }).await?;
    ///     table.finish().await?;
    ///     Ok(())
    /// }
    /// ```
    #[cfg(feature = "hyper")]
    pub async fn open(name: &str) -> Result<Self, OpenError> {
        Self::builder(name).open().await
    }

    /// Opens a table over another transport, for tests and for programs with their own HTTP stack.
    /// The same as [`builder(name)`](Self::builder) with [`transport`](Builder::transport).
    pub async fn open_with(
        name: &str,
        transport: impl Transport + 'static,
    ) -> Result<Self, OpenError> {
        Self::builder(name).transport(transport).open().await
    }

    /// Returns a builder to open a table with other options.
    pub fn builder(name: &str) -> Builder {
        Builder::new(name)
    }

    pub(crate) fn new(
        shared: Arc<Shared>,
        must_wait: bool,
        drop_timeout: Duration,
        finish_idle_timeout: Duration,
    ) -> Self {
        let handle = Handle { shared, must_wait, drop_timeout, finish_idle_timeout };
        Self { handle: Arc::new(handle) }
    }

    /// Logs one row or many: see [`IntoRows`] for the accepted forms.
    ///
    /// Rows that match the table are accepted and delivered in the background; this call does no
    /// network I/O. It waits only if the buffer is full and the caller
    /// [chose](crate::WhenFull::Wait) to wait.
    ///
    /// A row that does not match the table is refused alone, returned in the [`LogError`], and
    /// changes nothing. If no row can be accepted whatever it contains (the buffer is full, the
    /// delivery has stopped, the table is finished), the rest of the call is refused, too; of an
    /// iterator, only the current row, and the remaining ones are not requested.
    ///
    /// Cancel safe: rows are accepted as the call proceeds, and a dropped call accepts no more of
    /// them.
    ///
    /// ```
    /// use streamtable::{StreamTable, row};
    /// use streamtable_mock_backend::MockBackend;
    ///
    /// #[derive(serde::Serialize)]
    /// struct Request {
    ///     path: &'static str,
    ///     ms: f64,
    /// }
    ///
    /// #[tokio::main(flavor = "current_thread")]
    /// async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let server = MockBackend::default(); // without it, a server at `WANDB_BASE_URL`
    ///     let table = StreamTable::builder("me/shop/requests")
    ///         .base_url("http://mock.invalid")
    ///         .transport(server)
    ///         .api_key("local-key")
    ///         .open()
    ///         .await?;
    ///     let first = table.log(&Request { path: "/", ms: 7.5 }).await?;
    ///     println!("view the rows at {}", first.panel_url.unwrap_or_default());
    ///
    ///     let rows = vec![row! { "path" => "/a", "ms" => 1 }, row! { "path" => "/b", "ms" => 2 }];
    ///     table.log(rows).await?;
    ///
    ///     let error = table.log(row! { "path" => "/" }).await.unwrap_err();
    ///     assert!(error.to_string().contains(r#"column "ms" is missing"#));
    ///     assert_eq!(table.finish().await?.acked, 3);
    ///     Ok(())
    /// }
    /// ```
    pub async fn log<Kind>(&self, rows: impl IntoRows<Kind>) -> Result<Logged, LogError> {
        let mut rows = rows.into_rows();
        let mut logging = Logging::new(&self.handle.shared, self.handle.must_wait);
        while let Some(before) = logging.proceed(&mut rows) {
            self.handle.shared.room(before).await;
        }
        logging.finish()
    }

    /// Logs rows. If the buffer is full, calls `wait` with a future that is ready when there may be
    /// space, if the caller or the table's builder chose to wait. Once `wait` returns `false`, rows
    /// that do not fit are refused.
    pub(crate) fn log_with<Kind>(
        &self,
        rows: impl IntoRows<Kind>,
        must_wait: Option<bool>,
        mut wait: impl FnMut(Room) -> bool,
    ) -> Result<Logged, LogError> {
        let mut rows = rows.into_rows();
        let must_wait = must_wait.unwrap_or(self.handle.must_wait);
        let mut logging = Logging::new(&self.handle.shared, must_wait);
        while let Some(before) = logging.proceed(&mut rows) {
            let shared = Arc::clone(&self.handle.shared);
            logging.may_wait &= wait(Box::pin(async move { shared.room(before).await }));
        }
        logging.finish()
    }

    /// Logs rows. If the buffer is full and the table's builder chose to wait, returns a future that
    /// is ready when the remaining rows may be logged.
    #[cfg(feature = "sink")]
    pub(crate) fn log_or_wait<R: Rows>(&self, rows: &mut R) -> Result<Option<Room>, LogError> {
        let mut logging = Logging::new(&self.handle.shared, self.handle.must_wait);
        let Some(before) = logging.proceed(rows) else { return logging.finish().map(|_| None) };
        let shared = Arc::clone(&self.handle.shared);
        Ok(Some(Box::pin(async move { shared.room(before).await })))
    }

    /// Logs like [`log`](Self::log), but never waits: a row that does not fit into the buffer is
    /// refused.
    pub fn try_log<Kind>(&self, rows: impl IntoRows<Kind>) -> Result<Logged, LogError> {
        let mut logging = Logging::new(&self.handle.shared, false);
        logging.proceed(&mut rows.into_rows());
        logging.finish()
    }

    /// Logs like [`try_log`](Self::try_log), but does not count refused rows, because the caller
    /// logs them again in another form or counts them with [`count_refused`](Self::count_refused).
    pub(crate) fn offer(&self, row: Row) -> Result<Logged, LogError> {
        let mut logging = Logging::new(&self.handle.shared, false);
        logging.is_counted = false;
        logging.proceed(&mut row.into_rows());
        logging.finish()
    }

    /// Counts a row that [`offer`](Self::offer) refused.
    pub(crate) fn count_refused(&self) {
        self.handle.shared.core().refused += 1;
    }

    /// Waits until all rows logged so far, and their media, are stored, at most `timeout`.
    ///
    /// Delivery continues whatever the outcome, and dropping the future has no effect. A table that
    /// is [offline](Builder::offline) syncs its rows to disk instead.
    pub async fn flush(&self, timeout: Duration) -> Result<Stats, FlushError> {
        let shared = &self.handle.shared;
        if shared.is_offline {
            return self.sync_offline();
        }
        let (rows, files) = {
            let mut core = shared.core();
            core.flush();
            (core.session.line_count(), core.media.session().line_count())
        };
        shared.wake.notify_one();
        let is_done =
            |core: &Core| core.session.settled() >= rows && core.media.session().settled() >= files;
        self.wait(is_done, TimeLimit::Total(timeout)).await
    }

    /// Closes the table: accepts no more rows, from any clone, and waits until all are stored.
    ///
    /// Waits as long as there is progress, and fails if there was none for
    /// [`Builder::finish_idle_timeout`], plus the longest delay that the server has asked for in
    /// this time (`Retry-After`). Delivery continues even then, and `finish` may be called
    /// again. It also waits for rows that earlier processes left in the spool. If only those are
    /// left when the time is over, they stay in the spool for the next process that opens the
    /// table.
    ///
    /// A table that is [offline](Builder::offline) leaves its rows in the spool and returns how
    /// many are pending there. If the disk does not accept them, that is an error, the table stays
    /// open, and `finish` may be called again.
    pub async fn finish(&self) -> Result<Stats, FlushError> {
        let shared = &self.handle.shared;
        shared.core().has_asked = true;
        if shared.is_offline && !shared.core().is_closed {
            self.sync_offline()?;
        }
        {
            let mut core = shared.core();
            core.is_finished = true;
            core.flush();
        }
        shared.wake.notify_one();
        // Wakes calls that wait for space: there will be none any more.
        shared.progress.notify_waiters();
        self.wait(
            |core| core.is_closed,
            TimeLimit::WithoutProgress(self.handle.finish_idle_timeout),
        )
        .await
    }

    /// Returns the current accounting of the rows.
    pub fn stats(&self) -> Stats {
        self.handle.shared.core().stats()
    }

    /// Returns why delivery has stopped, if it has: for example an invalid key or a deleted table.
    pub fn stop_reason(&self) -> Option<crate::StopReason> {
        self.handle.shared.core().stop_reason().cloned()
    }

    /// Returns why the last attempts to deliver rows failed, if nothing was stored since. Delivery is
    /// retried.
    pub fn last_error(&self) -> Option<String> {
        self.handle.shared.core().last_error()
    }

    /// Resumes a stopped delivery, after the reason was fixed.
    pub fn resume(&self) {
        let mut core = self.handle.shared.core();
        core.session.resume();
        core.media.session_mut().resume();
        drop(core);
        self.handle.shared.wake.notify_one();
        self.handle.shared.resumed.notify_one();
        self.handle.shared.progress.notify_waiters();
    }

    /// Returns the full path of the table.
    pub fn path(&self) -> &TablePath {
        &self.handle.shared.table
    }

    /// Returns the columns as this writer knows them: those that the table had when it was opened,
    /// and those of the rows that were logged since.
    pub fn schema(&self) -> Schema {
        self.handle.shared.core().schema().clone()
    }

    /// Returns the id of this writer. It is unique to this opening of the table, on any machine.
    pub fn writer(&self) -> &str {
        &self.handle.shared.writer
    }

    /// Returns whether rows are on disk until they are stored, so that they survive the end of the
    /// process.
    pub fn is_spooled(&self) -> bool {
        self.handle.shared.core().journal.spool().is_some()
    }

    /// Returns the URL of the page that shows the table, if the backend has one.
    pub fn panel_url(&self) -> Option<&str> {
        self.handle.shared.panel_url.as_deref()
    }

    /// Returns the URL of the page of the run that holds the table's rows, if there is one.
    pub fn rows_url(&self) -> Option<&str> {
        self.handle.shared.rows_url.as_deref()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    /// Returns the time of the table's clock.
    pub(crate) fn time(&self) -> Timestamp {
        self.handle.shared.clock.now()
    }

    /// Syncs the rows of an offline table.
    fn sync_offline(&self) -> Result<Stats, FlushError> {
        let mut core = self.handle.shared.core();
        let synced = core.journal.spool().map_or(Ok(()), |spool| spool.sync_now());
        let stats = core.stats();
        synced.map(|()| stats).map_err(|error| FlushError {
            stats: Box::new(stats),
            reason: FlushFailure::Spool { reason: error.to_string() },
        })
    }

    /// Waits until `is_done`, or until waiting is useless.
    async fn wait(
        &self,
        is_done: impl Fn(&Core) -> bool,
        limit: TimeLimit,
    ) -> Result<Stats, FlushError> {
        let shared = &self.handle.shared;
        let start = Instant::now();
        let mut last_progress = (start, 0);
        loop {
            let progress = shared.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            let deadline = {
                let core = shared.core();
                if is_done(&core) {
                    return Ok(core.stats());
                }
                let failed = |reason| match core.stats() {
                    // All rows are stored, even if the backend does not know that the writer has
                    // finished.
                    stats if stats.is_settled() => Ok(stats),
                    stats => Err(FlushError { stats: Box::new(stats), reason }),
                };
                if let Some(reason) = core.stuck_reason() {
                    return failed(FlushFailure::Stopped(reason.clone()));
                }
                if core.is_driver_gone {
                    return failed(FlushFailure::DriverGone);
                }
                let settled = core.progress();
                if settled != last_progress.1 {
                    last_progress = (Instant::now(), settled);
                }
                let deadline = match limit {
                    TimeLimit::Total(timeout) => start + reachable(timeout),
                    TimeLimit::WithoutProgress(timeout) => {
                        last_progress.0 + reachable(timeout) + reachable(core.asked())
                    }
                };
                if deadline <= Instant::now() {
                    let last_error = core.last_error();
                    return failed(FlushFailure::Timeout { waited: start.elapsed(), last_error });
                }
                deadline
            };
            // The next iteration checks whether there was progress or the deadline has passed.
            let _ = timeout_at(deadline, progress).await;
        }
    }
}

/// A future that is ready when there may be space.
pub(crate) type Room = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The time limit of a wait.
#[derive(Clone, Copy)]
enum TimeLimit {
    Total(Duration),
    WithoutProgress(Duration),
}

/// The result of [`log`](StreamTable::log).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Logged {
    /// Number of accepted rows.
    pub rows: usize,
    /// The URL of the table's page; only the first time that rows are accepted.
    pub panel_url: Option<String>,
    /// Where the rows are, unless there are none.
    pub(crate) receipt: Option<Receipt>,
}

/// The state shared by all clones of a table.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    must_wait: bool,
    drop_timeout: Duration,
    finish_idle_timeout: Duration,
}

impl Drop for Handle {
    /// Lets the driver deliver the remaining rows for a limited time.
    fn drop(&mut self) {
        let mut core = self.shared.core();
        core.is_finished = true;
        core.flush();
        core.abandoned_at = Some(now() + reachable(self.drop_timeout));
        drop(core);
        self.shared.wake.notify_one();
    }
}

/// A running call of `log`.
struct Logging<'a> {
    shared: &'a Arc<Shared>,
    may_wait: bool,
    accepted: usize,
    /// The lines of the accepted rows.
    lines: LineSet,
    refused: Vec<Refused>,
    at_risk: Option<String>,
    /// Why no further row of the call is accepted, whatever it contains.
    refuses_all: Option<Refusal>,
    is_lazy: bool,
    /// Whether refused rows are counted.
    is_counted: bool,
}

/// Why offering rows has stopped.
#[derive(Debug)]
enum Stop {
    /// The buffer is full; there may be space once more than this is delivered.
    Full(Delivered),
    /// No further row is accepted.
    End,
}

impl<'a> Logging<'a> {
    fn new(shared: &'a Arc<Shared>, may_wait: bool) -> Self {
        Self {
            shared,
            may_wait,
            accepted: 0,
            lines: LineSet::default(),
            refused: Vec::new(),
            at_risk: None,
            refuses_all: None,
            is_lazy: false,
            is_counted: true,
        }
    }

    /// Offers rows until there are no more. If the buffer is full, returns what was delivered so
    /// far: there may be space once more is delivered.
    fn proceed<R: Rows>(&mut self, rows: &mut R) -> Option<Delivered> {
        self.is_lazy = R::IS_LAZY;
        match rows.offer(self) {
            Err(Stop::Full(before)) => {
                self.commit();
                Some(before)
            }
            Ok(()) | Err(Stop::End) => None,
        }
    }

    /// Makes the accepted rows as durable as the journal does.
    fn commit(&mut self) {
        if let Err(error) = self.shared.commit() {
            self.at_risk = Some(error.to_string());
        }
    }

    fn finish(mut self) -> Result<Logged, LogError> {
        if self.accepted > 0 {
            self.commit();
        }
        let Self { accepted, lines, refused, at_risk, .. } = self;
        if !refused.is_empty() || at_risk.is_some() {
            return Err(LogError { accepted, refused, at_risk });
        }
        let panel_url = self.shared.announce().map(str::to_owned);
        if let Some(url) = &panel_url
            && self.shared.print_url
        {
            eprint_line(format_args!("View data at: {url}"));
        }
        let receipt = (accepted > 0).then(|| Receipt::new(Arc::clone(self.shared), lines));
        Ok(Logged { rows: accepted, panel_url, receipt })
    }

    fn refuse<T: Serialize + ?Sized>(&mut self, row: &T, reason: Refusal) {
        self.shared.core().refused += u64::from(self.is_counted);
        let index = self.accepted + self.refused.len();
        self.refused.push(Refused { index, row: row_to_hand_back(row), reason });
    }
}

impl TakeRow for Logging<'_> {
    type Stop = Stop;

    fn take<T: Serialize + ?Sized>(&mut self, row: &T) -> Result<(), Stop> {
        if let Some(reason) = &self.refuses_all {
            let reason = reason.clone();
            self.refuse(row, reason);
            return Ok(());
        }
        match self.shared.log_row(row) {
            Ok(line) => {
                self.accepted += 1;
                self.lines.push(line);
                Ok(())
            }
            Err(NotTaken::NoRoom { delivered, .. }) if self.may_wait => Err(Stop::Full(delivered)),
            Err(not_taken) => {
                let reason = match not_taken {
                    NotTaken::Refused(reason) => reason,
                    NotTaken::NoRoom { bytes, limit, .. } => Refusal::Full { bytes, limit },
                };
                let holds_for_all = match reason {
                    Refusal::Schema(_) | Refusal::TooLong { .. } => false,
                    Refusal::Full { .. }
                    | Refusal::Journal { .. }
                    | Refusal::Stopped(_)
                    | Refusal::Finished
                    | Refusal::DriverGone => true,
                };
                if holds_for_all {
                    self.refuses_all = Some(reason.clone());
                }
                self.refuse(row, reason);
                if holds_for_all && self.is_lazy { Err(Stop::End) } else { Ok(()) }
            }
        }
    }
}
