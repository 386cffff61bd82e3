//! The table API for programs without an async runtime.
//!
//! A dedicated thread with its own runtime delivers the rows. Everything here may be called from
//! plain threads and from inside any runtime, which is not used.
//!
//! ```no_run
//! use streamtable::{blocking::StreamTable, row};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let table = StreamTable::open("my-team/shop/requests")?;
//!     table.log(row! { "path" => "/", "ms" => 7 })?;
//!     println!("{}", table.finish()?); // 1 logged, 1 acked, 0 pending, …
//!     Ok(())
//! }
//! ```

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use streamtable_schema::{Columns, Schema, TablePath};
use streamtable_transport::Transport;
use tokio::runtime::{self, Handle};

use crate::driver::report_left;
use crate::exit;
use crate::rows::IntoRows;
use crate::{
    Builder, FlushError, FlushFailure, LogError, Logged, OpenError, Stats, StopReason,
    StreamTable as AsyncTable,
};

/// Interval at which a waiting call asks whether to continue.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Maximum time to wait for the thread after it has delivered everything.
const TIDY_UP: Duration = Duration::from_secs(1);

/// How a wait ended.
pub(crate) enum Wait<T> {
    Done(T),
    /// The delivery thread has ended.
    Gone,
    /// The caller stopped waiting.
    BrokenOff,
}

/// A table to which rows are appended, for programs without an async runtime.
///
/// Cheap to clone. All clones log as the same writer. Dropping the last one without
/// [`finish`](Self::finish) waits until all rows are stored, but at most [`Builder::drop_timeout`],
/// and reports rows that are left: in the log, or on standard error if there is no log subscriber.
///
/// A `static` is never dropped. If the process ends by returning from `main` or by
/// [`std::process::exit`], it waits for the rows of such a table in the same way; it does not if it
/// is killed or aborts. [`finish_on_drop`](Self::finish_on_drop) sets another timeout.
#[derive(Clone, Debug)]
pub struct StreamTable {
    inner: Arc<Inner>,
}

/// The state shared by all clones of a table.
#[derive(Debug)]
struct Inner {
    /// `None` only while the table is being dropped.
    table: Option<AsyncTable>,
    runtime: Handle,
    /// Disconnected when the thread has ended.
    ended: Mutex<mpsc::Receiver<()>>,
    drop_timeout: Duration,
}

impl StreamTable {
    /// Opens a table over the default transport, creating it if it does not exist; see [`crate::StreamTable::open`].
    #[cfg(feature = "hyper")]
    pub fn open(name: &str) -> Result<Self, OpenError> {
        Self::builder(name).open_blocking()
    }

    /// Opens a table over another transport; see [`crate::StreamTable::open_with`].
    pub fn open_with(name: &str, transport: impl Transport + 'static) -> Result<Self, OpenError> {
        Self::builder(name).transport(transport).open_blocking()
    }

    /// Returns a builder to open a table with other options. Finish it with
    /// [`Builder::open_blocking`].
    pub fn builder(name: &str) -> Builder {
        Builder::new(name)
    }

    /// Logs one row or many; see [`crate::StreamTable::log`].
    ///
    /// Blocks only if the buffer is full and the caller [chose](crate::WhenFull::Wait) to wait.
    pub fn log<Kind>(&self, rows: impl IntoRows<Kind>) -> Result<Logged, LogError> {
        self.log_while(rows, || true)
    }

    /// Logs like [`log`](Self::log), and asks regularly whether to continue waiting.
    ///
    /// For callers that must react to something else while waiting, such as a signal. During a wait
    /// `keep_waiting` is called about every 50 ms. If it returns `false`, rows that do not fit into
    /// the buffer are refused.
    pub fn log_while<Kind>(
        &self,
        rows: impl IntoRows<Kind>,
        mut keep_waiting: impl FnMut() -> bool,
    ) -> Result<Logged, LogError> {
        self.table().log_with(rows, None, |room| {
            match wait_for(&self.inner.runtime, room, &mut keep_waiting) {
                // If the thread is gone, the next attempt returns the reason.
                Wait::Done(()) | Wait::Gone => true,
                Wait::BrokenOff => false,
            }
        })
    }

    /// Logs like [`log`](Self::log), but never waits: a row that does not fit into the buffer is
    /// refused.
    pub fn try_log<Kind>(&self, rows: impl IntoRows<Kind>) -> Result<Logged, LogError> {
        self.table().try_log(rows)
    }

    /// Waits until all rows logged so far and their media are stored, at most `timeout`.
    pub fn flush(&self, timeout: Duration) -> Result<Stats, FlushError> {
        self.flush_while(timeout, || true)
    }

    /// Waits like [`flush`](Self::flush), and asks regularly whether to continue.
    ///
    /// If `keep_waiting` returns `false`, the call ends with [`FlushFailure::BrokenOff`], and
    /// delivery continues.
    pub fn flush_while(
        &self,
        timeout: Duration,
        keep_waiting: impl FnMut() -> bool,
    ) -> Result<Stats, FlushError> {
        let table = self.table().clone();
        self.until_stored(async move { table.flush(timeout).await }, keep_waiting)
    }

    /// Closes the table: accepts no more rows and waits until all are stored; see
    /// [`crate::StreamTable::finish`].
    pub fn finish(&self) -> Result<Stats, FlushError> {
        self.finish_while(|| true)
    }

    /// Closes the table like [`finish`](Self::finish), and asks regularly whether to continue
    /// waiting.
    ///
    /// If `keep_waiting` returns `false`, the call ends with [`FlushFailure::BrokenOff`]. The table
    /// is closed, and its rows are delivered in the background.
    pub fn finish_while(&self, keep_waiting: impl FnMut() -> bool) -> Result<Stats, FlushError> {
        let table = self.table().clone();
        // At once, because the wait may be cancelled before the thread runs the future.
        table.shared().core().has_asked = true;
        let stats = self.until_stored(async move { table.finish().await }, keep_waiting)?;
        // Wait for the thread to end, so that its cleanup is done when this returns.
        let ended = self.inner.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(TIDY_UP);
        Ok(stats)
    }

    /// Returns a guard that finishes the table when it is dropped, and waits at most `timeout`.
    ///
    /// For a table in a `static`, which is never dropped: keep the guard in `main`. Rows that are
    /// left then are reported in the log, or on standard error if there is no log subscriber. Without
    /// a guard, the end of the process waits for at most [`Builder::drop_timeout`].
    ///
    /// ```no_run
    /// use std::sync::LazyLock;
    /// use std::time::Duration;
    /// use streamtable::{blocking::StreamTable, row};
    ///
    /// static REQUESTS: LazyLock<StreamTable> = LazyLock::new(|| {
    ///     StreamTable::open("my-team/shop/requests").expect("the server can be reached")
    /// });
    ///
    /// fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let _guard = REQUESTS.finish_on_drop(Duration::from_secs(30));
    ///     REQUESTS.log(row! { "path" => "/", "ms" => 7 })?;
    ///     Ok(())
    /// }
    /// ```
    pub fn finish_on_drop(&self, timeout: Duration) -> FinishGuard {
        FinishGuard { table: self.table().clone(), runtime: self.inner.runtime.clone(), timeout }
    }

    /// Returns the current accounting of the rows.
    pub fn stats(&self) -> Stats {
        self.table().stats()
    }

    /// Returns why delivery has stopped, if it has.
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.table().stop_reason()
    }

    /// Returns why the last attempts to deliver rows failed, if nothing was stored since. They are
    /// retried.
    pub fn last_error(&self) -> Option<String> {
        self.table().last_error()
    }

    /// Resumes a stopped delivery, after the reason was fixed.
    pub fn resume(&self) {
        self.table().resume();
    }

    /// Returns the full path of the table.
    pub fn path(&self) -> &TablePath {
        self.table().path()
    }

    /// Returns the columns as this writer knows them; see [`crate::StreamTable::schema`].
    pub fn schema(&self) -> Schema {
        self.table().schema()
    }

    /// Returns the id of this writer.
    pub fn writer(&self) -> &str {
        self.table().writer()
    }

    /// Returns whether rows are on disk until they are stored, so that they survive the end of the
    /// process.
    pub fn is_spooled(&self) -> bool {
        self.table().is_spooled()
    }

    /// Returns the URL of the page that shows the table, if the backend has one.
    pub fn panel_url(&self) -> Option<&str> {
        self.table().panel_url()
    }

    /// Returns the URL of the page of the run that holds the table's rows, if there is one.
    pub fn rows_url(&self) -> Option<&str> {
        self.table().rows_url()
    }

    #[cfg(any(feature = "metrics", feature = "tracing-layer"))]
    pub(crate) fn runtime(&self) -> &Handle {
        &self.inner.runtime
    }

    /// Returns the table's async handle.
    pub(crate) fn handle(&self) -> &AsyncTable {
        self.table()
    }

    fn table(&self) -> &AsyncTable {
        self.inner.table.as_ref().expect("only drop takes the table")
    }

    fn until_stored(
        &self,
        stored: impl Future<Output = Result<Stats, FlushError>> + Send + 'static,
        mut keep_waiting: impl FnMut() -> bool,
    ) -> Result<Stats, FlushError> {
        match wait_for(&self.inner.runtime, stored, &mut keep_waiting) {
            Wait::Done(result) => result,
            Wait::Gone => self.gone(),
            Wait::BrokenOff => {
                Err(FlushError { stats: Box::new(self.stats()), reason: FlushFailure::BrokenOff })
            }
        }
    }

    /// Returns the result for a thread that ended during a wait: success if everything was stored.
    fn gone(&self) -> Result<Stats, FlushError> {
        let stats = self.stats();
        if stats.is_settled() {
            return Ok(stats);
        }
        Err(FlushError { stats: Box::new(stats), reason: FlushFailure::DriverGone })
    }
}

/// Runs a future on a table's delivery thread, and waits for it as long as the caller wants.
pub(crate) fn wait_for<T: Send + 'static>(
    runtime: &Handle,
    future: impl Future<Output = T> + Send + 'static,
    keep_waiting: &mut dyn FnMut() -> bool,
) -> Wait<T> {
    let (send, receive) = mpsc::channel();
    runtime.spawn(async move {
        let _ = send.send(future.await);
    });
    loop {
        match receive.recv_timeout(ASK_EVERY) {
            Ok(result) => return Wait::Done(result),
            Err(mpsc::RecvTimeoutError::Disconnected) => return Wait::Gone,
            Err(mpsc::RecvTimeoutError::Timeout) if keep_waiting() => {}
            Err(mpsc::RecvTimeoutError::Timeout) => return Wait::BrokenOff,
        }
    }
}

/// A table whose rows are of the type `T`, for programs without an async runtime; see
/// [`crate::Table`].
///
/// ```no_run
/// use serde::Serialize;
/// use streamtable::{Columns, blocking::Table};
///
/// #[derive(Serialize, Columns)]
/// struct Request {
///     path: String,
///     user: Option<u64>,
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let table: Table<Request> = Table::open("my-team/shop/requests")?;
///     table.log(&Request { path: "/".to_owned(), user: None })?;
///     println!("{}", table.finish()?); // 1 logged, 1 acked, 0 pending, …
///     Ok(())
/// }
/// ```
pub struct Table<T> {
    table: StreamTable,
    rows: PhantomData<fn(&T)>,
}

impl<T: Columns> Table<T> {
    /// Opens a table over the default transport; see [`crate::StreamTable::open`].
    #[cfg(feature = "hyper")]
    pub fn open(name: &str) -> Result<Self, OpenError> {
        StreamTable::builder(name).open_typed_blocking()
    }

    /// Opens a table over another transport; see [`crate::StreamTable::open_with`].
    pub fn open_with(name: &str, transport: impl Transport + 'static) -> Result<Self, OpenError> {
        StreamTable::builder(name).transport(transport).open_typed_blocking()
    }

    /// Logs one row; see [`StreamTable::log`].
    pub fn log(&self, row: &T) -> Result<Logged, LogError> {
        self.table.log(row)
    }

    /// Logs several rows; see [`StreamTable::log`].
    pub fn log_all<'a>(&self, rows: impl IntoIterator<Item = &'a T>) -> Result<Logged, LogError>
    where
        T: 'a,
    {
        self.table.log(rows.into_iter())
    }

    /// Logs one row without waiting; see [`StreamTable::try_log`].
    pub fn try_log(&self, row: &T) -> Result<Logged, LogError> {
        self.table.try_log(row)
    }
}

impl<T> Table<T> {
    /// Waits until all rows logged so far are stored; see [`StreamTable::flush`].
    pub fn flush(&self, timeout: Duration) -> Result<Stats, FlushError> {
        self.table.flush(timeout)
    }

    /// Closes the table and waits until all rows are stored; see [`StreamTable::finish`].
    pub fn finish(&self) -> Result<Stats, FlushError> {
        self.table.finish()
    }

    /// Returns the current accounting of the rows.
    pub fn stats(&self) -> Stats {
        self.table.stats()
    }

    /// Returns the table without the type of its rows.
    pub fn untyped(&self) -> &StreamTable {
        &self.table
    }
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self { table: self.table.clone(), rows: PhantomData }
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table.fmt(f)
    }
}

/// Finishes a table when it is dropped; see [`StreamTable::finish_on_drop`].
#[derive(Debug)]
#[must_use = "the table is finished as soon as the guard is dropped"]
pub struct FinishGuard {
    table: AsyncTable,
    runtime: Handle,
    timeout: Duration,
}

impl Drop for FinishGuard {
    fn drop(&mut self) {
        let (table, start) = (self.table.clone(), Instant::now());
        table.shared().core().has_asked = true;
        let finish = async move { table.finish().await };
        let result = wait_for(&self.runtime, finish, &mut || start.elapsed() < self.timeout);
        let cause = match result {
            Wait::Done(Err(error)) => error.reason.to_string(),
            Wait::BrokenOff => "the time limit is reached".to_owned(),
            // A thread that has ended has reported what is left.
            Wait::Done(Ok(_)) | Wait::Gone => return,
        };
        let stats = self.table.stats();
        if !stats.is_settled() {
            report_left(self.table.path(), &stats, self.table.is_spooled(), &cause, true);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.table.take());
        // The driver limits its own time; the extra second is for shutting down its runtime.
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(self.drop_timeout.saturating_add(Duration::from_secs(1)));
    }
}

impl Builder {
    /// Opens a table whose rows are of one type, for use without an async runtime.
    pub fn open_typed_blocking<T: Columns>(self) -> Result<Table<T>, OpenError> {
        let table = self.declare(T::columns()).open_blocking()?;
        Ok(Table { table, rows: PhantomData })
    }

    /// Opens the table for use without an async runtime: see [`blocking`](crate::blocking).
    pub fn open_blocking(self) -> Result<StreamTable, OpenError> {
        let drop_timeout = self.drop_timeout;
        let (send, opened) = mpsc::channel();
        let (alive, ended) = mpsc::channel::<()>();
        let deliver = move || {
            let _alive = alive;
            let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = send.send(Err(OpenError::Backend { reason: error.to_string() }));
                    return;
                }
            };
            let handle = runtime.handle().clone();
            runtime.block_on(async move {
                match self.open_with_driver().await {
                    Ok((table, driver)) => {
                        let _ = send.send(Ok((table, handle)));
                        // A panic is reported by the panic hook and by the guard in the task.
                        let _ = driver.await;
                    }
                    Err(error) => drop(send.send(Err(error))),
                }
            });
            // Do not wait for a blocked DNS lookup.
            runtime.shutdown_background();
        };
        let spawned = std::thread::Builder::new().name("streamtable".to_owned()).spawn(deliver);
        spawned.map_err(|error| OpenError::Backend { reason: error.to_string() })?;
        let gone = |_| OpenError::Backend { reason: "the delivery thread has ended".to_owned() };
        let (table, runtime) = opened.recv().map_err(gone)??;
        exit::watch_thread(table.shared(), drop_timeout);
        let (table, ended) = (Some(table), Mutex::new(ended));
        Ok(StreamTable { inner: Arc::new(Inner { table, runtime, ended, drop_timeout }) })
    }
}
