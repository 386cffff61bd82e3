//! Rows that wait on disk: their list, and their delivery.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use streamtable::spool::{self, Entry, EntryState, SyncOptions, Tally};
use streamtable::{Backend, OpenError, Settings, WandbBackend};
use streamtable_transport_hyper::HyperTransport;

use crate::{errors, process};

/// How often signals are handled during a delivery.
const TICK: Duration = Duration::from_millis(50);

/// Lists the spools of a folder, or of this machine: a dict for each.
#[pyfunction]
pub(crate) fn spool_entries(py: Python<'_>, dir: Option<PathBuf>) -> PyResult<Bound<'_, PyList>> {
    let Some(dir) = folder(py, dir)? else { return Ok(PyList::empty(py)) };
    let entries = py.detach(|| spool::list(&dir)).map_err(PyOSError::new_err)?;
    let entries = entries.iter().map(|entry| describe(py, entry));
    PyList::new(py, entries.collect::<PyResult<Vec<_>>>()?)
}

/// Delivers the spools of a folder, or of this machine, and returns the counts.
#[pyfunction]
pub(crate) fn sync_spool(py: Python<'_>, dir: Option<PathBuf>) -> PyResult<Bound<'_, PyDict>> {
    let tally = match folder(py, dir)? {
        None => Tally::default(),
        Some(dir) => process::wait(py, |keep_waiting| deliver(&dir, keep_waiting))?
            .map_err(PyOSError::new_err)?
            .unwrap_or_default(),
    };
    let dict = PyDict::new(py);
    dict.set_item("spools", tally.spools)?;
    dict.set_item("busy", tally.busy)?;
    dict.set_item("found", tally.found)?;
    dict.set_item("acked", tally.acked)?;
    dict.set_item("rejected", tally.rejected)?;
    dict.set_item("media_uploaded", tally.media_uploaded)?;
    dict.set_item("media_failed", tally.media_failed)?;
    dict.set_item("damaged", tally.damaged)?;
    dict.set_item("lost", tally.lost)?;
    let left: Vec<(String, String)> =
        tally.left.into_iter().map(|left| (left.dir.display().to_string(), left.reason)).collect();
    dict.set_item("left", left)?;
    Ok(dict)
}

/// Returns the given folder, or the one of this machine; `None` if this machine has no spool.
fn folder(py: Python<'_>, dir: Option<PathBuf>) -> PyResult<Option<PathBuf>> {
    if dir.is_some() {
        return Ok(dir);
    }
    let settings = Settings::from_env().map_err(|error| errors::open(py, &error.into()))?;
    Ok(settings.spool_dir)
}

/// Delivers the spools of a folder. Returns `None` if `keep_waiting` returns false before the end.
fn deliver(
    dir: &std::path::Path,
    keep_waiting: &mut dyn FnMut() -> bool,
) -> std::io::Result<Option<Tally>> {
    let connect = |server: &str| -> Result<Arc<dyn Backend>, OpenError> {
        let settings = Settings { base_url: server.to_owned(), ..Settings::from_env_for(server)? };
        let transport = HyperTransport::new()
            .map_err(|error| OpenError::Backend { reason: error.to_string() })?;
        Ok(Arc::new(WandbBackend::new(transport, &settings)?))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let options = SyncOptions::default();
        let mut delivered = pin!(spool::sync(dir, &options, connect, |_| ()));
        loop {
            match tokio::time::timeout(TICK, delivered.as_mut()).await {
                Ok(tally) => return tally.map(Some),
                Err(_) if keep_waiting() => {}
                Err(_) => return Ok(None),
            }
        }
    })
}

fn describe<'py>(py: Python<'py>, entry: &Entry) -> PyResult<Bound<'py, PyDict>> {
    let state = match entry.state {
        EntryState::Live => "live",
        EntryState::Waiting => "waiting",
        EntryState::Newer { .. } => "newer",
        EntryState::Unreadable => "unreadable",
    };
    let dict = PyDict::new(py);
    dict.set_item("dir", entry.dir.display().to_string())?;
    dict.set_item("writer", &entry.writer)?;
    dict.set_item("state", state)?;
    dict.set_item("server", entry.server.as_deref())?;
    dict.set_item("table", entry.table.as_ref().map(ToString::to_string))?;
    dict.set_item("created", entry.created.map(|at| at.as_micros()))?;
    dict.set_item("rows", entry.rows)?;
    dict.set_item("media_files", entry.media_files)?;
    dict.set_item("bytes", entry.bytes)?;
    let problems: Vec<String> = entry.problems.iter().map(ToString::to_string).collect();
    dict.set_item("problems", problems)?;
    Ok(dict)
}
