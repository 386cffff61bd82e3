//! What belongs to the process: waits, signals, forks, and its end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};

use pyo3::intern;
use pyo3::prelude::*;

use crate::open::Open;

/// How often this process's ancestors have forked since the package was loaded.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Tables that may have to be finished at the end. Locked only while the interpreter is held.
static OPEN: Mutex<Vec<Weak<Open>>> = Mutex::new(Vec::new());

pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Waits with the interpreter given to others, and looks after signals now and then.
///
/// `call` is handed what it should ask about every 50 ms. When a signal's handler raises, it hears
/// no, and the exception is what comes out.
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

/// Remembers a table for the end.
pub(crate) fn opened(py: Python<'_>, open: &Arc<Open>) -> PyResult<()> {
    {
        let mut tables = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        tables.retain(|table| table.strong_count() > 0);
        tables.push(Arc::downgrade(open));
    }
    py.import("streamtable._process")?.call_method0(intern!(py, "opened"))?;
    Ok(())
}

/// Goes on with a table that nobody holds any more, until its rows are stored.
pub(crate) fn retire(open: Arc<Open>) {
    if open.generation != generation() {
        // Its threads live in another process, and its locks may be theirs.
        std::mem::forget(open);
        return;
    }
    std::thread::spawn(move || {
        // What is left is reported when the table is dropped.
        let _ = open.table.finish();
        drop(open);
    });
}

/// Notes that this is another process now. Called in each child of a fork.
#[pyfunction]
pub(crate) fn after_fork() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    OPEN.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// Finishes every table that is open, within the time that each of them allows, and returns a
/// sentence for each that has rows left.
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
        std::thread::spawn(move || {
            let until = start + open.options.exit_timeout;
            let result = open.table.finish_while(|| Instant::now() < until);
            // That the server has not heard of the end, when it has all rows, is no loss.
            let left = result.err().filter(|error| !error.stats.is_settled()).map(|error| {
                let (table, stats) = (open.table.path(), error.stats);
                let fate = match open.table.is_spooled() {
                    true => "they wait in the spool, and the next start delivers them",
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
