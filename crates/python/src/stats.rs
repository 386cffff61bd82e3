//! Row counts for Python.

use pyo3::prelude::*;

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
        let streamtable::Stats { logged, acked, pending, rejected, dropped, media, recovered } =
            stats;
        let streamtable::MediaStats { uploaded, pending: waiting, failed } = media;
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
    fn __repr__(&self) -> String {
        let Self { logged, acked, pending, rejected, dropped, media, recovered } = self;
        let (media, recovered) = (media.__repr__(), recovered.__repr__());
        format!(
            "Stats(logged={logged}, acked={acked}, pending={pending}, rejected={rejected}, \
             dropped={dropped}, media={media}, recovered={recovered})"
        )
    }
}

#[pymethods]
impl MediaStats {
    fn __repr__(&self) -> String {
        let Self { uploaded, pending, failed } = self;
        format!("MediaStats(uploaded={uploaded}, pending={pending}, failed={failed})")
    }
}

#[pymethods]
impl Recovered {
    fn __repr__(&self) -> String {
        let Self { found, acked, pending, rejected, damaged, lost } = self;
        format!(
            "Recovered(found={found}, acked={acked}, pending={pending}, rejected={rejected}, \
             damaged={damaged}, lost={lost})"
        )
    }
}
