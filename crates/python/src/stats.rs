//! What became of the rows, for Python.

use pyo3::prelude::*;

/// What became of the rows that were logged, at one moment.
///
/// Always `logged == acked + pending + rejected + dropped`.
#[pyclass(frozen, eq, get_all, skip_from_py_object, module = "streamtable")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stats {
    /// Rows that `log` accepted.
    logged: u64,
    /// Rows that the server has stored.
    acked: u64,
    /// Rows that are on their way.
    pending: u64,
    /// Rows that the server refused for good; each was handed to `on_reject`.
    rejected: u64,
    /// Rows given up without the server's word: always 0.
    dropped: u64,
    /// Media files of those rows.
    media: MediaStats,
    /// Rows that earlier processes left in the spool; in none of the numbers above.
    recovered: Recovered,
}

/// What became of the media files of the rows, each counted once however often it was logged.
#[pyclass(frozen, eq, get_all, skip_from_py_object, module = "streamtable")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MediaStats {
    /// Files that the server has stored.
    uploaded: u64,
    /// Files that are on their way.
    pending: u64,
    /// Files that the server refused for good.
    failed: u64,
}

/// What became of the rows that earlier processes left in the spool for this table.
#[pyclass(frozen, eq, get_all, skip_from_py_object, module = "streamtable")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Rows that were found so far.
    found: u64,
    /// Those that the server has stored by now.
    acked: u64,
    /// Those that are on their way.
    pending: u64,
    /// Those that it refused for good.
    rejected: u64,
    /// Places in the spool that were damaged, and set aside.
    damaged: u64,
    /// Rows that are known to be lost with what was damaged.
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
