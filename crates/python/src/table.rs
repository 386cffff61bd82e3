//! The base class of `StreamTable`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyConnectionError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use streamtable::spool::{SpoolConfig, SyncPolicy};
use streamtable::{ColumnPolicy, WhenFull, WhenUnreachable};
use streamtable_url::{BaseUrl, panel_url};

use crate::fetch::{Stream, fetch, stream};
use crate::open::{Open, Options, Remote, Spool};
use crate::process::{Announcement, generation, print_line, retire, wait};
use crate::stats::Stats;
use crate::{errors, log};

/// The native part of `StreamTable`; the Python class adds the rest of the API.
///
/// It is opened by `_open`, so that a subclass may have an `__init__` with arguments of its own.
#[pyclass(subclass, frozen, name = "StreamTable", module = "streamtable._native")]
#[derive(Debug)]
pub(crate) struct Table {
    opened: OnceLock<Opened>,
}

#[derive(Debug)]
struct Opened {
    options: Arc<Options>,
    facts: Facts,
    /// Locked only for a moment, and only while the GIL is held.
    state: Mutex<State>,
    /// The table for rows that are logged after this one was finished at exit; `None` inside if
    /// there is no spool for them.
    after_end: OnceLock<Option<Arc<Open>>>,
    /// Whether `log` adds columns to each row.
    has_constants: AtomicBool,
}

/// Properties that never change.
#[derive(Debug)]
struct Facts {
    entity: String,
    project: String,
    table: String,
    url: Option<String>,
    rows_url: Option<String>,
    remote: Remote,
}

#[derive(Debug)]
enum State {
    Open(Arc<Open>),
    Finished { stats: streamtable::Stats, writer: String },
}

#[pymethods]
impl Table {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { opened: OnceLock::new() }
    }

    /// Opens the table.
    #[pyo3(signature = (
        name, *, project, entity, base_url, api_key, columns, when_full, when_unreachable,
        spool_dir, spool, sync, offline, buffer_bytes, media_buffer_bytes, linger, open_timeout,
        finish_timeout, exit_timeout, on_reject, quiet
    ))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments, with one caller")]
    fn _open(
        &self,
        py: Python<'_>,
        name: String,
        project: Option<String>,
        entity: Option<String>,
        base_url: Option<String>,
        api_key: Option<String>,
        columns: &str,
        when_full: &str,
        when_unreachable: &str,
        spool_dir: Option<std::path::PathBuf>,
        spool: bool,
        sync: &str,
        offline: bool,
        buffer_bytes: Option<u64>,
        media_buffer_bytes: Option<u64>,
        linger: Option<f64>,
        open_timeout: f64,
        finish_timeout: f64,
        exit_timeout: f64,
        on_reject: Option<Py<PyAny>>,
        quiet: bool,
    ) -> PyResult<()> {
        if self.opened.get().is_some() {
            return Err(PyValueError::new_err("the table is already open"));
        }
        let options = Arc::new(Options {
            name,
            project,
            entity,
            base_url,
            api_key,
            columns: choose(
                "columns",
                columns,
                &[("strict", ColumnPolicy::Strict), ("evolve", ColumnPolicy::Evolve)],
            )?,
            when_full: choose(
                "when_full",
                when_full,
                &[("refuse", WhenFull::Refuse), ("wait", WhenFull::Wait)],
            )?,
            when_unreachable: choose(
                "when_unreachable",
                when_unreachable,
                &[("fail", WhenUnreachable::Fail), ("log_anyway", WhenUnreachable::LogAnyway)],
            )?,
            spool: match (spool, spool_dir) {
                (false, _) => Spool::Off,
                (true, None) => Spool::Default,
                (true, Some(dir)) => Spool::Dir(dir),
            },
            sync: choose(
                "sync",
                sync,
                &[
                    ("never", SyncPolicy::Never),
                    ("interval", SpoolConfig::default().sync),
                    ("always", SyncPolicy::Always),
                ],
            )?,
            is_offline: offline,
            buffer_bytes,
            media_buffer_bytes,
            linger: linger.map(|linger| seconds("linger", linger)).transpose()?,
            open_timeout: seconds("open_timeout", open_timeout)?,
            finish_timeout: seconds("finish_timeout", finish_timeout)?,
            exit_timeout: seconds("exit_timeout", exit_timeout)?,
            on_reject,
            is_quiet: quiet,
        });
        let open = Open::new(py, &options)?;
        let path = open.table.path();
        let facts = Facts {
            entity: path.entity().to_owned(),
            project: path.project().to_owned(),
            table: path.table().to_owned(),
            url: open.table.panel_url().map(str::to_owned).or_else(|| address(&open)),
            rows_url: open.table.rows_url().map(str::to_owned),
            remote: open.remote.clone(),
        };
        let state = Mutex::new(State::Open(open));
        let (after_end, has_constants) = (OnceLock::new(), AtomicBool::new(false));
        let opened = Opened { options, facts, state, after_end, has_constants };
        // Dropped, and thereby finished, if another thread was faster.
        let _ = self.opened.set(opened);
        Ok(())
    }

    /// Logs one row or many: a mapping, a dataclass, an iterable of rows, or a frame.
    ///
    /// Checks and converts each row, writes it to the spool and returns; does no network I/O.
    /// Returns the panel's URL in the first call, else `None`. Raises `LogError` if rows were
    /// refused; the other rows of the call are accepted.
    #[pyo3(signature = (rows, /))]
    fn log(slf: &Bound<'_, Self>, rows: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        let py = slf.py();
        let this = slf.get().opened()?;
        let Some(open) = this.current(py)? else { return Err(errors::finished(py)) };
        if this.has_constants.load(Ordering::Relaxed) {
            let rows = with_constants(slf, rows)?;
            return this.log_to(py, &open, &rows, open.options.when_full);
        }
        this.log_to(py, &open, rows, open.options.when_full)
    }

    /// Logs a row like `log`, but never waits: neither for space in the buffer, nor until a table
    /// that was inherited by a forked process is open again. In the latter case, returns false.
    #[pyo3(signature = (row, /))]
    fn _log_now(slf: &Bound<'_, Self>, row: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = slf.py();
        let this = slf.get().opened()?;
        let open = match &*this.state() {
            State::Finished { .. } => None,
            State::Open(open) => Some(Arc::clone(open)),
        };
        let Some(open) = open else { return Err(errors::finished(py)) };
        if open.generation != generation() {
            return Ok(false);
        }
        if this.has_constants.load(Ordering::Relaxed) {
            this.log_to(py, &open, &with_constants(slf, row)?, WhenFull::Refuse)?;
            return Ok(true);
        }
        this.log_to(py, &open, row, WhenFull::Refuse)?;
        Ok(true)
    }

    /// Waits until all rows logged so far are stored, and returns the row counts.
    ///
    /// Raises `FlushTimeoutError` after `timeout` seconds; delivery continues.
    #[pyo3(signature = (timeout = 60.0))]
    fn flush(&self, py: Python<'_>, timeout: f64) -> PyResult<Stats> {
        let timeout = seconds("timeout", timeout)?;
        let Some(open) = self.opened()?.current(py)? else { return self.stats(py) };
        let flushed = wait(py, |keep_waiting| open.table.flush_while(timeout, keep_waiting))?;
        Ok(flushed.map_err(|error| errors::flush(py, &error))?.into())
    }

    /// Closes the table for new rows, waits until all rows are stored, and returns the row counts.
    ///
    /// Raises `FlushError` if rows are not stored; with a spool, they are sent the next time the
    /// table is opened.
    #[pyo3(signature = ())]
    fn finish(&self, py: Python<'_>) -> PyResult<Stats> {
        let this = self.opened()?;
        let Some(open) = this.current(py)? else { return self.stats(py) };
        let mut announcement = Announcement::new(this.options.is_quiet, || {
            let (table, stats) = (open.table.path(), open.table.stats());
            let pending = stats.pending + stats.media.pending;
            let reason = open.table.last_error().map_or(String::new(), |why| format!(" ({why})"));
            format!(
                "streamtable: {table}: waiting until {pending} rows or files are stored{reason}"
            )
        });
        let finished = wait(py, |keep_waiting| {
            open.table.finish_while(|| {
                announcement.print_if_slow();
                keep_waiting()
            })
        })?;
        let stats = finished.map_err(|error| errors::flush(py, &error))?;
        let writer = open.table.writer().to_owned();
        let before = std::mem::replace(&mut *this.state(), State::Finished { stats, writer });
        // Dropping the last reference waits for a thread to end.
        py.detach(|| drop((before, open)));
        if stats.rejected > 0 && this.options.on_reject.is_none() {
            let facts = &this.facts;
            let path = format!("{}/{}/{}", facts.entity, facts.project, facts.table);
            py.import("streamtable._process")?
                .call_method1(intern!(py, "warn_of_rejected"), (path, stats.rejected))?;
        }
        Ok(stats.into())
    }

    /// Returns the current row counts.
    #[pyo3(signature = ())]
    fn stats(&self, py: Python<'_>) -> PyResult<Stats> {
        let this = self.opened()?;
        match this.current(py)? {
            Some(open) => Ok(open.table.stats().into()),
            None => match &*this.state() {
                State::Finished { stats, .. } => Ok((*stats).into()),
                State::Open(open) => Ok(open.table.stats().into()),
            },
        }
    }

    /// Continues delivery after `StreamStoppedError`, once its cause is fixed.
    #[pyo3(signature = ())]
    fn resume(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(open) = self.opened()?.current(py)? {
            open.table.resume();
        }
        Ok(())
    }

    /// The user or team that owns the table.
    #[getter]
    fn entity_name(&self) -> PyResult<&str> {
        Ok(&self.opened()?.facts.entity)
    }

    /// The table's project.
    #[getter]
    fn project_name(&self) -> PyResult<&str> {
        Ok(&self.opened()?.facts.project)
    }

    /// The table's name within its project.
    #[getter]
    fn table_name(&self) -> PyResult<&str> {
        Ok(&self.opened()?.facts.table)
    }

    /// The URL of the table's panel, or `None` if the server has none.
    #[getter]
    fn url(&self) -> PyResult<Option<&str>> {
        Ok(self.opened()?.facts.url.as_deref())
    }

    /// The URL of the page of the run that holds the rows, or `None`.
    #[getter]
    fn rows_url(&self) -> PyResult<Option<&str>> {
        Ok(self.opened()?.facts.rows_url.as_deref())
    }

    /// The server's URL.
    #[getter]
    fn base_url(&self) -> PyResult<&str> {
        Ok(&self.opened()?.facts.remote.base_url)
    }

    /// The id under which this table's rows are stored.
    #[getter]
    fn writer(&self, py: Python<'_>) -> PyResult<String> {
        let this = self.opened()?;
        Ok(match this.current(py)? {
            Some(open) => open.table.writer().to_owned(),
            None => match &*this.state() {
                State::Finished { writer, .. } => writer.clone(),
                State::Open(open) => open.table.writer().to_owned(),
            },
        })
    }

    /// The reason why delivery has stopped, or `None`.
    #[getter]
    fn stop_reason(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let open = self.opened()?.current(py)?;
        Ok(open.and_then(|open| open.table.stop_reason()).map(|reason| reason.to_string()))
    }

    /// Whether `finish` has succeeded.
    #[getter]
    fn is_finished(&self) -> PyResult<bool> {
        Ok(matches!(&*self.opened()?.state(), State::Finished { .. }))
    }

    /// Makes `log` call `streamtable._context.with_constants` for each call, or stop to do so.
    #[pyo3(signature = (are_there, /))]
    fn _have_constants(&self, are_there: bool) -> PyResult<()> {
        self.opened()?.has_constants.store(are_there, Ordering::Relaxed);
        Ok(())
    }

    /// Sends a request to the table's server; returns the response's status and body.
    #[pyo3(signature = (method, path, body, accept, timeout, /))]
    fn _request<'py>(
        &self,
        py: Python<'py>,
        method: &str,
        path: &str,
        body: Option<Vec<u8>>,
        accept: &str,
        timeout: f64,
    ) -> PyResult<(u16, Bound<'py, PyBytes>)> {
        let timeout = seconds("timeout", timeout)?;
        let answer = fetch(py, &self.opened()?.facts.remote, method, path, body, accept, timeout)?;
        let (status, body) = answer.map_err(PyConnectionError::new_err)?;
        Ok((status, PyBytes::new(py, &body)))
    }

    /// Sends a request to the table's server; returns the response's status, and its body as it
    /// arrives. `timeout` is for the head of the response.
    #[pyo3(signature = (method, path, body, accept, timeout, /))]
    fn _stream(
        &self,
        py: Python<'_>,
        method: &str,
        path: &str,
        body: Option<Vec<u8>>,
        accept: &str,
        timeout: f64,
    ) -> PyResult<(u16, Stream)> {
        let timeout = seconds("timeout", timeout)?;
        let answer = stream(py, &self.opened()?.facts.remote, method, path, body, accept, timeout)?;
        answer.map_err(PyConnectionError::new_err)
    }
}

impl Table {
    fn opened(&self) -> PyResult<&Opened> {
        self.opened.get().ok_or_else(|| {
            PyValueError::new_err("the table is not open: call StreamTable.__init__ first")
        })
    }
}

/// Adds the table's constant columns to the rows of a call.
fn with_constants<'py>(
    table: &Bound<'py, Table>,
    rows: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = table.py();
    let context = py.import("streamtable._context")?;
    context.call_method1(intern!(py, "with_constants"), (table, rows))
}

impl Opened {
    /// Returns the table as opened in this process, or `None` if it is finished.
    ///
    /// In a forked child, opens it again as another writer.
    fn current(&self, py: Python<'_>) -> PyResult<Option<Arc<Open>>> {
        match &*self.state() {
            State::Finished { .. } => return Ok(None),
            State::Open(open) if open.generation == generation() => {
                return Ok(Some(Arc::clone(open)));
            }
            State::Open(_) => {}
        }
        let again = Open::new(py, &self.options)?;
        let mut state = self.state();
        let replaced = match &*state {
            // Another thread has opened it already.
            State::Open(open) if open.generation == generation() => {
                let open = Arc::clone(open);
                drop(state);
                retire(again);
                return Ok(Some(open));
            }
            _ => std::mem::replace(&mut *state, State::Open(Arc::clone(&again))),
        };
        drop(state);
        // Its threads run in another process, and its locks may be held by them.
        std::mem::forget(replaced);
        Ok(Some(again))
    }

    fn log_to(
        &self,
        py: Python<'_>,
        open: &Arc<Open>,
        rows: &Bound<'_, PyAny>,
        when_full: WhenFull,
    ) -> PyResult<Option<Py<PyAny>>> {
        if open.has_ended.load(Ordering::Relaxed) {
            self.log_after_end(py, open, rows)?;
            return Ok(None);
        }
        let url = match log::log(open, rows, when_full) {
            // The program ended during this call.
            Err(error) if open.has_ended.load(Ordering::Relaxed) => {
                let Some(rows) = errors::refused_as_finished(py, &error)? else {
                    return Err(error);
                };
                self.log_after_end(py, open, &rows)?;
                None
            }
            logged => logged?,
        };
        let Some(url) = url else { return Ok(None) };
        let link = py.import("streamtable._link")?;
        let link = link.call_method1(intern!(py, "shown"), (url, self.options.is_quiet))?;
        Ok(Some(link.unbind()))
    }

    /// Logs rows after the table was finished because the program ends: into the spool, from which
    /// the next opening of the table sends them.
    fn log_after_end(&self, py: Python<'_>, open: &Open, rows: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.after_end.get().is_none() {
            // No lock is held, so two threads may open it; the second is not used.
            let (late, reason) = match open.after_end(py) {
                Ok(late) => (Some(late), None),
                Err(error) => (None, Some(error.value(py).to_string())),
            };
            let is_first = self.after_end.set(late).is_ok();
            if let Some(reason) = reason.filter(|_| is_first) {
                let table = open.table.path();
                let lost = "rows that are logged while the program ends are lost";
                print_line(py, &format!("streamtable: {table}: {lost}: {reason}"))?;
            }
        }
        if let Some(Some(late)) = self.after_end.get() {
            log::log(late, rows, WhenFull::Refuse)?;
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let State::Open(open) = state {
            retire(Arc::clone(open));
        }
        if let Some(Some(late)) = self.after_end.take() {
            retire(late);
        }
    }
}

/// Returns the panel's URL for a table that was opened without contacting the server.
fn address(open: &Open) -> Option<String> {
    let Remote { base_url, board_url, .. } = &open.remote;
    let board = BaseUrl::board(board_url.as_deref(), base_url).ok()?;
    Some(panel_url(&board, open.table.path()))
}

fn choose<T: Copy>(keyword: &str, choice: &str, choices: &[(&str, T)]) -> PyResult<T> {
    let found = choices.iter().find(|(name, _)| *name == choice);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        let names = names.join(" or ");
        PyValueError::new_err(format!("{keyword} must be {names}, not {choice:?}"))
    })
}

fn seconds(keyword: &str, seconds: f64) -> PyResult<Duration> {
    // Values out of range are treated as infinite.
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err(format!(
            "{keyword} must be a number of seconds, not {seconds}"
        )));
    }
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}
