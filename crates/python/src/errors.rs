//! Conversion of the client's errors to the package's exceptions.

use std::fmt;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyList;
use streamtable::{FlushError, FlushFailure, OpenError, Refusal, SchemaError, StopReason};

use crate::stats::Stats;
use crate::value::BadRow;

/// The module that defines the exceptions.
const MODULE: &str = "streamtable._errors";

/// Makes an exception of the package, given its class name.
fn new<'py>(
    py: Python<'py>,
    class: &str,
    message: &dyn fmt::Display,
) -> PyResult<Bound<'py, PyAny>> {
    py.import(MODULE)?.getattr(class)?.call1((message.to_string(),))
}

/// Converts an error of opening a table.
pub(crate) fn open(py: Python<'_>, error: &OpenError) -> PyErr {
    let made = match error {
        OpenError::Name(_) => new(py, "TableNameError", error),
        OpenError::NoKey { .. }
        | OpenError::Stopped(StopReason::Unauthorized { .. } | StopReason::Forbidden { .. }) => {
            new(py, "AuthenticationError", error)
        }
        OpenError::Unavailable { .. } => new(py, "UnavailableError", error),
        _ => new(py, "OpenError", error),
    };
    made.map_or_else(|error| error, PyErr::from_value)
}

/// Makes the exception for a server on this machine that does not run. `is_default` means that no
/// setting names a server.
pub(crate) fn nobody_listens(py: Python<'_>, base_url: &str, is_default: bool) -> PyErr {
    let why = if is_default { "no server is set, and none runs" } else { "nothing listens" };
    let message = format!(
        "{why} at {base_url}: start a server with `streamtable serve`, or with \
         `streamtable.serve()` in Python, or set WANDB_BASE_URL to another address"
    );
    new(py, "UnavailableError", &message).map_or_else(|error| error, PyErr::from_value)
}

/// Converts an error of a flush.
pub(crate) fn flush(py: Python<'_>, error: &FlushError) -> PyErr {
    let class = match error.reason {
        FlushFailure::Timeout { .. } | FlushFailure::BrokenOff => "FlushTimeoutError",
        FlushFailure::Stopped(_) => "StreamStoppedError",
        _ => "FlushError",
    };
    let made = new(py, class, error).and_then(|made| {
        made.setattr("stats", Bound::new(py, Stats::from(*error.stats))?)?;
        Ok(made)
    });
    made.map_or_else(|error| error, PyErr::from_value)
}

/// A row that was not logged.
pub(crate) struct NotTaken<'py> {
    /// Its index in the call.
    pub(crate) index: usize,
    pub(crate) row: Bound<'py, PyAny>,
    pub(crate) why: Why,
}

/// The reason why a row was not logged.
pub(crate) enum Why {
    /// It could not be converted to a row.
    Python(BadRow),
    /// The table refused it.
    Refused(Refusal),
}

impl Why {
    fn class(&self, py: Python<'_>) -> &'static str {
        use pyo3::exceptions::PyTypeError;
        match self {
            Self::Python(bad) if bad.error.is_instance_of::<PyTypeError>(py) => "RowTypeError",
            Self::Python(_) => "RowError",
            Self::Refused(Refusal::Schema(
                SchemaError::Value { .. } | SchemaError::NotARow { .. },
            )) => "RowTypeError",
            Self::Refused(Refusal::Schema(_) | Refusal::TooLong { .. }) => "RowError",
            Self::Refused(Refusal::Full { .. }) => "BufferFullError",
            Self::Refused(Refusal::Stopped(_)) => "StreamStoppedError",
            Self::Refused(Refusal::Finished) => "TableFinishedError",
            Self::Refused(_) => "LogError",
        }
    }

    fn text(&self, py: Python<'_>) -> String {
        match self {
            Self::Python(bad) if bad.error.is_instance_of::<pyo3::exceptions::PyTypeError>(py) => {
                bad.error.value(py).to_string()
            }
            Self::Python(bad) => bad.error.to_string(),
            Self::Refused(refusal) => refusal.to_string(),
        }
    }

    fn column(&self) -> Option<&str> {
        match self {
            Self::Python(bad) => bad.column.as_deref(),
            Self::Refused(Refusal::Schema(error)) => error.column(),
            Self::Refused(_) => None,
        }
    }
}

/// The failures of a call of `log`, and the number of accepted rows.
pub(crate) struct LogFailure<'py> {
    pub(crate) accepted: usize,
    pub(crate) not_taken: Vec<NotTaken<'py>>,
    /// The reason why the accepted rows are only in memory.
    pub(crate) at_risk: Option<String>,
    /// Whether rows after the last of these were not tried.
    pub(crate) is_cut_short: bool,
}

impl LogFailure<'_> {
    /// Makes the exception. The first row decides its class.
    pub(crate) fn into_exception(self, py: Python<'_>) -> PyErr {
        self.exception(py).unwrap_or_else(|error| error)
    }

    fn exception(self, py: Python<'_>) -> PyResult<PyErr> {
        let class = match self.not_taken.first() {
            Some(first) => first.why.class(py),
            None => "SpoolError",
        };
        let made = new(py, class, &self.message(py))?;
        let refused: Vec<_> = self
            .not_taken
            .iter()
            .map(|row| {
                static REFUSED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
                let refused = REFUSED.import(py, MODULE, "RefusedRow")?;
                refused.call1((row.index, &row.row, row.why.text(py), row.why.column()))
            })
            .collect::<PyResult<_>>()?;
        made.setattr("accepted", self.accepted)?;
        made.setattr("refused", refused)?;
        let exception = PyErr::from_value(made);
        if let Some(NotTaken { why: Why::Python(cause), .. }) = self.not_taken.first() {
            exception.set_cause(py, Some(cause.error.clone_ref(py)));
        }
        Ok(exception)
    }

    /// Adds a note to the exception of an iterator of rows: how many of its rows were logged.
    pub(crate) fn note(&self, py: Python<'_>, error: PyErr) -> PyErr {
        let mut text = format!("streamtable: {} rows were logged before this error", self.accepted);
        if let Some(first) = self.not_taken.first() {
            let (refused, index, why) = (self.not_taken.len(), first.index, first.why.text(py));
            text += &format!("; {refused} were refused, the first at {index}: {why}");
        }
        let noted =
            py.import(MODULE).and_then(|m| m.call_method1("add_note", (error.value(py), text)));
        noted.map_or_else(|failed| failed, |_| error)
    }

    fn message(&self, py: Python<'_>) -> String {
        let Self { accepted, not_taken, at_risk, is_cut_short } = self;
        let mut text = match at_risk {
            Some(why) => format!("{accepted} rows were accepted, but are only in memory: {why}; "),
            None => String::new(),
        };
        match (accepted, &not_taken[..]) {
            (_, []) => text.truncate(text.trim_end_matches("; ").len()),
            (0, [row]) if row.index == 0 && !is_cut_short => {
                text += &format!("the row was refused: {}", row.why.text(py));
            }
            (accepted, [first, ..]) => {
                let (refused, all) = (not_taken.len(), accepted + not_taken.len());
                let (index, why) = (first.index, first.why.text(py));
                text += &format!("{refused} of {all} rows refused, the first at {index}: {why}");
            }
        }
        if *is_cut_short {
            text += "; the rows after these were not tried";
        }
        text
    }
}

/// Makes the exception for a table that is finished.
pub(crate) fn finished(py: Python<'_>) -> PyErr {
    new(py, "TableFinishedError", &Refusal::Finished).map_or_else(|error| error, PyErr::from_value)
}

/// Returns the refused rows of the exception for a table that is finished.
pub(crate) fn refused_as_finished<'py>(
    py: Python<'py>,
    error: &PyErr,
) -> PyResult<Option<Bound<'py, PyList>>> {
    let class = py.import(MODULE)?.getattr("TableFinishedError")?;
    if !error.value(py).is_instance(&class)? {
        return Ok(None);
    }
    let rows = PyList::empty(py);
    for refused in error.value(py).getattr("refused")?.try_iter()? {
        rows.append(refused?.getattr("row")?)?;
    }
    Ok(Some(rows))
}
