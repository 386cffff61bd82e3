//! The same table for programs without an async runtime.
//!
//! A thread of its own delivers, with a runtime of its own, so that everything here may be called
//! from anywhere: from plain threads, and from inside any runtime, which it does not touch.
//!
//! ```
//! # use streamtable_mock_backend::MockBackend;
//! use streamtable::{blocking::StreamTable, row};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let builder = StreamTable::builder("me/shop/requests").transport(MockBackend::default());
//! # let table = builder.api_key("local-key")?.base_url("http://mock.invalid").quiet().open_blocking()?;
//! table.log(row! { "path" => "/", "ms" => 7 })?;
//! let stats = table.finish()?;
//! assert_eq!(stats.acked, 1);
//! # Ok(())
//! # }
//! ```

use std::future::Future;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use streamtable_schema::TablePath;
use streamtable_transport::Transport;
use tokio::runtime::{self, Handle};

use crate::rows::IntoRows;
use crate::{
    Builder, FlushError, FlushFailure, LogError, Logged, OpenError, Stats, StopReason,
    StreamTable as AsyncTable,
};

/// How often a call that waits asks whether it should.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// How long to wait at most for a thread that has nothing left to do.
const TIDY_UP: Duration = Duration::from_secs(1);

/// How a wait ended.
enum Wait<T> {
    Done(T),
    /// The thread has ended.
    Gone,
    /// The caller wants to wait no longer.
    BrokenOff,
}

/// A table that rows are appended to, for programs without an async runtime.
///
/// Shared between threads by reference or in an `Arc`. Dropping it without
/// [`finish`](Self::finish) waits until all rows are stored, but no longer than
/// [`Builder::drop_timeout`], and reports what is left as an error in the log.
#[derive(Debug)]
pub struct StreamTable {
    /// Taken when it is dropped.
    table: Option<AsyncTable>,
    runtime: Handle,
    /// Closed when the thread has ended.
    ended: Mutex<mpsc::Receiver<()>>,
    drop_timeout: Duration,
}

impl StreamTable {
    /// Opens a table, and makes it if it is not there; see [`crate::StreamTable::open`].
    pub fn open(name: &str, transport: impl Transport + 'static) -> Result<Self, OpenError> {
        Self::builder(name).transport(transport).open_blocking()
    }

    /// Begins to open a table with other than the default choices; ends with
    /// [`Builder::open_blocking`].
    pub fn builder(name: &str) -> Builder {
        Builder::new(name)
    }

    /// Logs one row or many; see [`crate::StreamTable::log`].
    ///
    /// Blocks only when the buffer is full and the caller [chose](crate::WhenFull::Wait) to wait.
    pub fn log<Kind>(&self, rows: impl IntoRows<Kind>) -> Result<Logged, LogError> {
        self.log_while(rows, || true)
    }

    /// Logs as [`log`](Self::log) does, and asks now and then whether to go on waiting.
    ///
    /// For callers that must look at something else meanwhile, such as a signal. `keep_waiting` is
    /// called about every 50 ms of a wait; after a no, rows that find no room are refused.
    pub fn log_while<Kind>(
        &self,
        rows: impl IntoRows<Kind>,
        mut keep_waiting: impl FnMut() -> bool,
    ) -> Result<Logged, LogError> {
        self.table().log_with(rows, |room| match self.wait_for(room, &mut keep_waiting) {
            // Whatever ends the waiting, the next attempt tells what it was.
            Wait::Done(()) | Wait::Gone => true,
            Wait::BrokenOff => false,
        })
    }

    /// Logs as [`log`](Self::log) does, but never waits: a row that finds the buffer full is
    /// refused.
    pub fn try_log<Kind>(&self, rows: impl IntoRows<Kind>) -> Result<Logged, LogError> {
        self.table().try_log(rows)
    }

    /// Waits until all rows logged so far, and their media, are stored, at most `timeout`.
    pub fn flush(&self, timeout: Duration) -> Result<Stats, FlushError> {
        self.flush_while(timeout, || true)
    }

    /// Waits as [`flush`](Self::flush) does, and asks now and then whether to go on.
    ///
    /// A no ends the call with [`FlushFailure::BrokenOff`]; delivery goes on.
    pub fn flush_while(
        &self,
        timeout: Duration,
        keep_waiting: impl FnMut() -> bool,
    ) -> Result<Stats, FlushError> {
        let table = self.table().clone();
        self.until_stored(async move { table.flush(timeout).await }, keep_waiting)
    }

    /// Ends the table: takes no more rows, and waits until all are stored; see
    /// [`crate::StreamTable::finish`].
    pub fn finish(&self) -> Result<Stats, FlushError> {
        self.finish_while(|| true)
    }

    /// Ends the table as [`finish`](Self::finish) does, and asks now and then whether to go on
    /// waiting.
    ///
    /// A no ends the call with [`FlushFailure::BrokenOff`]: the table takes no more rows, and
    /// those that it took are delivered in the background.
    pub fn finish_while(&self, keep_waiting: impl FnMut() -> bool) -> Result<Stats, FlushError> {
        let table = self.table().clone();
        let stats = self.until_stored(async move { table.finish().await }, keep_waiting)?;
        // The thread is about to end; what it tidies up last is done when this returns.
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(TIDY_UP);
        Ok(stats)
    }

    /// Returns what became of the rows up to now.
    pub fn stats(&self) -> Stats {
        self.table().stats()
    }

    /// Returns why the stream has stopped, if it has.
    pub fn stop_reason(&self) -> Option<StopReason> {
        self.table().stop_reason()
    }

    /// Returns why the last attempts to deliver rows failed, if nothing was stored since. They are
    /// repeated.
    pub fn last_error(&self) -> Option<String> {
        self.table().last_error()
    }

    /// Starts a stopped stream again, once what stopped it was put right.
    pub fn resume(&self) {
        self.table().resume();
    }

    /// Returns the table's full path.
    pub fn path(&self) -> &TablePath {
        self.table().path()
    }

    /// Returns the id of this writer.
    pub fn writer(&self) -> &str {
        self.table().writer()
    }

    /// Tells whether rows are on disk until they are stored, so that they outlive the process.
    pub fn is_spooled(&self) -> bool {
        self.table().is_spooled()
    }

    /// Returns the address of the page that shows the table, if the backend has one.
    pub fn panel_url(&self) -> Option<&str> {
        self.table().panel_url()
    }

    /// Returns the address of the page of the run that holds the table's rows, if there is one.
    pub fn rows_url(&self) -> Option<&str> {
        self.table().rows_url()
    }

    /// Returns the table as async programs have it.
    pub(crate) fn handle(&self) -> &AsyncTable {
        self.table()
    }

    fn table(&self) -> &AsyncTable {
        self.table.as_ref().expect("only drop takes the table")
    }

    fn until_stored(
        &self,
        stored: impl Future<Output = Result<Stats, FlushError>> + Send + 'static,
        mut keep_waiting: impl FnMut() -> bool,
    ) -> Result<Stats, FlushError> {
        match self.wait_for(stored, &mut keep_waiting) {
            Wait::Done(result) => result,
            Wait::Gone => self.gone(),
            Wait::BrokenOff => {
                Err(FlushError { stats: Box::new(self.stats()), reason: FlushFailure::BrokenOff })
            }
        }
    }

    /// Lets the thread work on a future, and waits for it for as long as the caller wants.
    fn wait_for<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
        keep_waiting: &mut dyn FnMut() -> bool,
    ) -> Wait<T> {
        let (send, receive) = mpsc::channel();
        self.runtime.spawn(async move {
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

    /// What to say when the thread ended while somebody waited: perhaps it was just done.
    fn gone(&self) -> Result<Stats, FlushError> {
        let stats = self.stats();
        if stats.is_settled() {
            return Ok(stats);
        }
        Err(FlushError { stats: Box::new(stats), reason: FlushFailure::DriverGone })
    }
}

impl Drop for StreamTable {
    fn drop(&mut self) {
        drop(self.table.take());
        // The driver gives up by itself; the rest is for ending its runtime.
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(self.drop_timeout.saturating_add(Duration::from_secs(1)));
    }
}

impl Builder {
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
                        // Panics are told by their own hook, and by the guard in the task.
                        let _ = driver.await;
                    }
                    Err(error) => drop(send.send(Err(error))),
                }
            });
            // A name server that does not answer must not hold up anybody.
            runtime.shutdown_background();
        };
        let spawned = std::thread::Builder::new().name("streamtable".to_owned()).spawn(deliver);
        spawned.map_err(|error| OpenError::Backend { reason: error.to_string() })?;
        let gone = |_| OpenError::Backend { reason: "the delivering thread has ended".to_owned() };
        let (table, runtime) = opened.recv().map_err(gone)??;
        Ok(StreamTable { table: Some(table), runtime, ended: Mutex::new(ended), drop_timeout })
    }
}
