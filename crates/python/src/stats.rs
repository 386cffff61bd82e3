//! Row counts for Python.

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The state of the logged rows at one moment.
///
/// Always `logged == acked + pending + rejected + dropped`.
#[pyclass(frozen, eq, get_all, skip_from_py_object, module = "streamtable")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stats {
    /// Rows that `log` accepted.
    logged: u64,
    /// Rows that the server has stored.
    acked: u64,
    /// Rows that are not stored yet.
    pending: u64,
    /// Rows that the server rejected; `on_reject` was called for each.
    rejected: u64,
    /// Rows given up without a response of the server: always 0.
    dropped: u64,
    /// Media files of those rows.
    media: MediaStats,
    /// Rows that earlier processes left in the spool; not included in the numbers above.
    recovered: Recovered,
}

/// The state of the rows' media files. A file that is logged several times is counted once.
#[pyclass(frozen, eq, get_all, skip_from_py_object, module = "streamtable")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MediaStats {
    /// Files that the server has stored.
    uploaded: u64,
    /// Files that are not uploaded yet.
    pending: u64,
    /// Files that the server rejected.
    failed: u64,
}

/// The state of the rows that earlier processes left in the spool for this table.
#[pyclass(frozen, eq, get_all, skip_from_py_object, module = "streamtable")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Rows found so far.
    found: u64,
    /// Rows that the server has stored.
    acked: u64,
    /// Rows that are not stored yet.
    pending: u64,
    /// Rows that the server rejected.
    rejected: u64,
    /// Damaged places in the spool, which were set aside.
    damaged: u64,
    /// Rows known to be lost in damaged places.
    lost: u64,
}

impl From<streamtable::Stats> for Stats {
    fn from(stats: streamtable::Stats) -> Self {
        let streamtable::Stats {
            logged, acked, pending, rejected, dropped, media, recovered, ..
        } = stats;
        let streamtable::MediaStats { uploaded, pending: waiting, failed, .. } = media;
        Self {
            logged,
            acked,
            pending,
            rejected,
            dropped,
            media: MediaStats { uploaded, pending: waiting, failed },
            recovered: Recovered {
                found: recovered.found,
                acked: recovered.acked,
                pending: recovered.pending(),
                rejected: recovered.rejected,
                damaged: recovered.damaged,
                lost: recovered.lost,
            },
        }
    }
}

#[pymethods]
impl Stats {
    #[new]
    fn new(
        logged: u64,
        acked: u64,
        pending: u64,
        rejected: u64,
        dropped: u64,
        media: PyRef<'_, MediaStats>,
        recovered: PyRef<'_, Recovered>,
    ) -> Self {
        Self {
            logged,
            acked,
            pending,
            rejected,
            dropped,
            media: (*media).clone(),
            recovered: (*recovered).clone(),
        }
    }

    /// Returns the arguments with which pickle makes it again.
    fn __getnewargs__(&self) -> (u64, u64, u64, u64, u64, MediaStats, Recovered) {
        (
            self.logged,
            self.acked,
            self.pending,
            self.rejected,
            self.dropped,
            self.media.clone(),
            self.recovered.clone(),
        )
    }

    /// Returns the counts by name.
    fn _asdict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("logged", self.logged)?;
        dict.set_item("acked", self.acked)?;
        dict.set_item("pending", self.pending)?;
        dict.set_item("rejected", self.rejected)?;
        dict.set_item("dropped", self.dropped)?;
        dict.set_item("media", self.media._asdict(py)?)?;
        dict.set_item("recovered", self.recovered._asdict(py)?)?;
        Ok(dict)
    }

    fn __repr__(&self) -> String {
        let Self { logged, acked, pending, rejected, dropped, media, recovered, .. } = self;
        let (media, recovered) = (media.__repr__(), recovered.__repr__());
        format!(
            "Stats(logged={logged}, acked={acked}, pending={pending}, rejected={rejected}, \
             dropped={dropped}, media={media}, recovered={recovered})"
        )
    }
}

#[pymethods]
impl MediaStats {
    #[new]
    fn new(uploaded: u64, pending: u64, failed: u64) -> Self {
        Self { uploaded, pending, failed }
    }

    /// Returns the arguments with which pickle makes it again.
    fn __getnewargs__(&self) -> (u64, u64, u64) {
        (self.uploaded, self.pending, self.failed)
    }

    /// Returns the counts by name.
    fn _asdict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("uploaded", self.uploaded)?;
        dict.set_item("pending", self.pending)?;
        dict.set_item("failed", self.failed)?;
        Ok(dict)
    }

    fn __repr__(&self) -> String {
        let Self { uploaded, pending, failed } = self;
        format!("MediaStats(uploaded={uploaded}, pending={pending}, failed={failed})")
    }
}

#[pymethods]
impl Recovered {
    #[new]
    fn new(found: u64, acked: u64, pending: u64, rejected: u64, damaged: u64, lost: u64) -> Self {
        Self { found, acked, pending, rejected, damaged, lost }
    }

    /// Returns the arguments with which pickle makes it again.
    fn __getnewargs__(&self) -> (u64, u64, u64, u64, u64, u64) {
        (self.found, self.acked, self.pending, self.rejected, self.damaged, self.lost)
    }

    /// Returns the counts by name.
    fn _asdict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("found", self.found)?;
        dict.set_item("acked", self.acked)?;
        dict.set_item("pending", self.pending)?;
        dict.set_item("rejected", self.rejected)?;
        dict.set_item("damaged", self.damaged)?;
        dict.set_item("lost", self.lost)?;
        Ok(dict)
    }

    fn __repr__(&self) -> String {
        let Self { found, acked, pending, rejected, damaged, lost } = self;
        format!(
            "Recovered(found={found}, acked={acked}, pending={pending}, rejected={rejected}, \
             damaged={damaged}, lost={lost})"
        )
    }
}
