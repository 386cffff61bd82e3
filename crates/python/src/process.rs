//! Process-wide behaviour: waits, signals, forks and exit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};

use pyo3::intern;
use pyo3::prelude::*;

use crate::open::Open;

/// The number of forks in this process's ancestry since the package was loaded.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Tables to finish at exit. Locked only while the GIL is held.
static OPEN: Mutex<Vec<Weak<Open>>> = Mutex::new(Vec::new());

pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Waits without holding the GIL, and checks for signals regularly.
///
/// `call` gets a function that it must call about every 50 ms. If a signal handler raises, the
/// function returns false, and `wait` returns the exception.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    call: impl FnOnce(&mut dyn FnMut() -> bool) -> T + Send,
) -> PyResult<T> {
    let (result, raised) = py.detach(|| {
        let mut raised = None;
        let result = call(&mut || {
            if let Some(Err(error)) = Python::try_attach(|py| py.check_signals()) {
                raised = Some(error);
            }
            raised.is_none()
        });
        (result, raised)
    });
    match raised {
        Some(error) => Err(error),
        None => Ok(result),
    }
}

/// Prints a line on Python's standard error.
pub(crate) fn print_line(py: Python<'_>, line: &str) -> PyResult<()> {
    py.import("streamtable._process")?.call_method1(intern!(py, "print_line"), (line,))?;
    Ok(())
}

/// The time after which a wait is announced.
const SLOW: Duration = Duration::from_secs(1);

/// A line that is printed once if a wait is slow.
pub(crate) struct Announcement<F> {
    start: Instant,
    line: Option<F>,
}

impl<F: FnOnce() -> String> Announcement<F> {
    pub(crate) fn new(is_quiet: bool, line: F) -> Self {
        Self { start: Instant::now(), line: (!is_quiet).then_some(line) }
    }

    /// Prints the line if the wait takes longer than a second. Called without the GIL.
    pub(crate) fn print_if_slow(&mut self) {
        if self.start.elapsed() < SLOW {
            return;
        }
        if let Some(line) = self.line.take() {
            let line = line();
            Python::try_attach(|py| print_line(py, &line));
        }
    }
}

/// Registers a table to be finished at exit.
pub(crate) fn opened(py: Python<'_>, open: &Arc<Open>) -> PyResult<()> {
    {
        let mut tables = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        tables.retain(|table| table.strong_count() > 0);
        tables.push(Arc::downgrade(open));
    }
    py.import("streamtable._process")?.call_method0(intern!(py, "opened"))?;
    Ok(())
}

/// Keeps a table open that was dropped, until its rows are stored.
pub(crate) fn retire(open: Arc<Open>) {
    if open.generation != generation() {
        // Its threads run in another process, and its locks may be held by them.
        std::mem::forget(open);
        return;
    }
    std::thread::spawn(move || {
        // Rows that are still pending are reported when the table is dropped.
        let _ = open.table.finish();
        drop(open);
    });
}

/// Records that this is a new process. Called in each child of a fork.
#[pyfunction]
pub(crate) fn after_fork() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    OPEN.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// Finishes every open table within its exit timeout, and returns a message for each table that has
/// pending rows. Rows that threads or exit functions log later go to the spool.
#[pyfunction]
pub(crate) fn finish_all(py: Python<'_>) -> PyResult<Vec<String>> {
    let tables: Vec<Arc<Open>> = {
        let tables = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        tables.iter().filter_map(Weak::upgrade).collect()
    };
    let (send, ended) = mpsc::channel();
    let start = Instant::now();
    for open in tables {
        let send = send.clone();
        open.has_ended.store(true, Ordering::Relaxed);
        std::thread::spawn(move || {
            let until = start + open.options.exit_timeout;
            let result = open.table.finish_while(|| Instant::now() < until);
            if let Ok(stats) = &result
                && stats.rejected > 0
                && open.options.on_reject.is_none()
            {
                let (table, rejected) = (open.table.path(), stats.rejected);
                let _ = send.send(Some(format!("{table}: the server rejected {rejected} rows")));
            }
            // If the server has all rows, a failure to report the end is harmless.
            let left = result.err().filter(|error| !error.stats.is_settled()).map(|error| {
                let (table, stats) = (open.table.path(), error.stats);
                let fate = match open.table.is_spooled() {
                    true => "they are in the spool and are sent when the table is opened again",
                    false => "they are lost with this process",
                };
                let (pending, reason) = (stats.pending + stats.media.pending, error.reason);
                format!("{table}: {pending} rows or files are not stored yet ({reason}); {fate}")
            });
            let _ = send.send(left);
        });
    }
    drop(send);
    wait(py, move |keep_waiting| {
        let mut left = Vec::new();
        loop {
            match ended.recv_timeout(Duration::from_millis(50)) {
                Ok(sentence) => left.extend(sentence),
                Err(mpsc::RecvTimeoutError::Timeout) if keep_waiting() => {}
                Err(_) => return left,
            }
        }
    })
}
