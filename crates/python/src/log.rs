//! The implementation of one call of `log`.

use std::sync::Arc;

use pyo3::exceptions::{PyException, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyTuple};
use serde::{Serialize, Serializer};
use streamtable::{LogError, Logged, Refusal, Refused, Row, Value, WhenFull};
use streamtable_format::{ArrowRow, NaiveTimes};

use crate::arrow::Batches;
use crate::errors::{LogFailure, NotTaken, Why};
use crate::open::Open;
use crate::plain::Plain;
use crate::process::wait;
use crate::value;

/// Maximum number of rows that are converted before they are logged, so that an iterator cannot
/// fill the memory.
const CHUNK: usize = 1024;

/// Maximum number of failed rows that are kept for the exception; one more ends the call.
const MAX_NOT_TAKEN: usize = 10_000;

/// Logs one row or many, and returns the panel's URL in the first call.
pub(crate) fn log<'py>(
    open: &Arc<Open>,
    rows: &Bound<'py, PyAny>,
    when_full: WhenFull,
) -> PyResult<Option<String>> {
    if !open.waits_for_disk()
        && let Some(plain) = Plain::perhaps(rows)
    {
        match open.table.try_log(std::slice::from_ref(&plain)) {
            Ok(logged) => return Ok(logged.panel_url),
            Err(_) if plain.has_others() => {}
            Err(error) => {
                let mut call = Call::new(rows.py(), open, when_full);
                let rows = std::slice::from_ref(rows);
                call.handle_result(Err(error), &[0], 0, rows)?;
                return call.end();
            }
        }
    }
    let mut call = Call::new(rows.py(), open, when_full);
    if rows.is_exact_instance_of::<PyDict>() {
        call.rows(0, std::slice::from_ref(rows))?;
    } else if rows.is_exact_instance_of::<PyList>() || rows.is_exact_instance_of::<PyTuple>() {
        call.each(rows, 0, CHUNK, None)?;
    } else {
        call.other(rows)?;
    }
    call.end()
}

/// A row that is ready to be encoded.
enum Ready<'a, 'py> {
    Plain(Plain<'a, 'py>),
    Owned(Row),
}

impl Serialize for Ready<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(row) => row.serialize(serializer),
            Self::Owned(row) => row.serialize(serializer),
        }
    }
}

struct Call<'a, 'py> {
    py: Python<'py>,
    open: &'a Arc<Open>,
    when_full: WhenFull,
    url: Option<String>,
    failure: LogFailure<'py>,
}

impl<'a, 'py> Call<'a, 'py> {
    fn new(py: Python<'py>, open: &'a Arc<Open>, when_full: WhenFull) -> Self {
        let failure =
            LogFailure { accepted: 0, not_taken: Vec::new(), at_risk: None, is_cut_short: false };
        Self { py, open, when_full, url: None, failure }
    }

    fn end(mut self) -> PyResult<Option<String>> {
        let LogFailure { not_taken, at_risk, .. } = &mut self.failure;
        if not_taken.is_empty() && at_risk.is_none() {
            return Ok(self.url);
        }
        not_taken.sort_by_key(|row| row.index);
        Err(self.failure.into_exception(self.py))
    }

    /// Logs the elements of an iterable, `size` of them at a time; `first` is the index of the
    /// first element in the call.
    ///
    /// If the iterable raises, the rows before are logged. `frame` is the frame whose rows they
    /// are, if they are rows of a frame: then the exception is the reason why rows are refused, and
    /// otherwise it is raised with a note that says how many rows were logged.
    fn each(
        &mut self,
        rows: &Bound<'py, PyAny>,
        mut first: usize,
        size: usize,
        frame: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let mut chunk = Vec::with_capacity(size);
        for row in rows.try_iter()? {
            match (row, frame) {
                (Ok(row), _) => chunk.push(row),
                (Err(error), Some(frame)) if error.is_instance_of::<PyException>(self.py) => {
                    self.rows(first, &chunk)?;
                    self.unreadable(frame, first + chunk.len(), &error);
                    return Ok(());
                }
                (Err(error), _) => {
                    self.rows(first, &chunk)?;
                    return Err(self.failure.note(self.py, error));
                }
            }
            if chunk.len() == size {
                self.rows(first, &chunk)?;
                first += chunk.len();
                chunk.clear();
                if self.has_enough() {
                    self.failure.is_cut_short = true;
                    return Ok(());
                }
            }
        }
        self.rows(first, &chunk)
    }

    /// Refuses the rest of a frame, from the row at `index` on.
    fn unreadable(&mut self, frame: &Bound<'py, PyAny>, index: usize, error: &PyErr) {
        let kind = frame.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
        let message = format!("the rows of this {kind} cannot be read: {error}");
        let reason = PyTypeError::new_err(message);
        reason.set_cause(self.py, Some(error.clone_ref(self.py)));
        let why = Why::Python(reason.into());
        self.failure.not_taken.push(NotTaken { index, row: frame.clone(), why });
        self.failure.is_cut_short = index > 0;
    }

    fn has_enough(&self) -> bool {
        self.failure.not_taken.len() > MAX_NOT_TAKEN
    }

    /// Logs a value that is neither a dict nor a list: another mapping, a frame, an iterator.
    fn other(&mut self, rows: &Bound<'py, PyAny>) -> PyResult<()> {
        static ROWS_OF: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let rows_of = ROWS_OF.import(self.py, "streamtable._convert", "rows_of")?.call1((rows,))?;
        if rows_of.is_none() {
            return self.rows(0, std::slice::from_ref(rows));
        }
        // Not of `rows`: a frame whose cells are other values in Arrow is read by rows.
        match Batches::of(&rows_of) {
            Ok(Some(batches)) => self.batches(batches, rows),
            // The rows of an iterator may come slowly, so each is logged when it comes.
            Ok(None) => self.each(&rows_of, 0, 1, None),
            Err(error) => self.frame_rows(rows, 0, error),
        }
    }

    /// Logs a frame's rows from `first` on without Arrow, because its Arrow data cannot be read.
    fn frame_rows(
        &mut self,
        frame: &Bound<'py, PyAny>,
        first: usize,
        error: PyErr,
    ) -> PyResult<()> {
        if !error.is_instance_of::<PyException>(self.py) {
            return Err(error);
        }
        static FRAME_ROWS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let frame_rows = FRAME_ROWS.import(self.py, "streamtable._convert", "frame_rows")?;
        match frame_rows.call1((frame, first)) {
            Ok(rows) if rows.is_none() => self.unreadable(frame, first, &error),
            Ok(rows) => return self.each(&rows, first, CHUNK, Some(frame)),
            Err(error) if error.is_instance_of::<PyException>(self.py) => {
                self.unreadable(frame, first, &error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Logs rows; `first` is the index of the first row in the call.
    fn rows(&mut self, first: usize, rows: &[Bound<'py, PyAny>]) -> PyResult<()> {
        let (mut ready, mut places) =
            (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        let mut must_let_go = self.open.waits_for_disk();
        for (index, row) in rows.iter().enumerate() {
            let row = match Plain::new(row) {
                Some(plain) => Ready::Plain(plain),
                None => match value::row(row) {
                    Ok(row) => {
                        must_let_go |= row.cells().any(|(_, value)| has_media(value));
                        Ready::Owned(row)
                    }
                    Err(bad) if bad.error.is_instance_of::<PyException>(self.py) => {
                        let (row, why) = (row.clone(), Why::Python(bad));
                        self.failure.not_taken.push(NotTaken { index: first + index, row, why });
                        continue;
                    }
                    // An exception such as KeyboardInterrupt ends the call.
                    Err(bad) => return Err(bad.error),
                },
            };
            ready.push(row);
            places.push(index);
        }
        if ready.is_empty() {
            return Ok(());
        }
        let logged = if must_let_go {
            // Reading media files and writing to the spool may block, so release the GIL.
            let mut owned = Vec::with_capacity(ready.len());
            for (row, &index) in ready.into_iter().zip(&places) {
                owned.push(match row {
                    Ready::Owned(row) => row,
                    Ready::Plain(_) => value::row(&rows[index]).map_err(|bad| bad.error)?,
                });
            }
            self.py.detach(|| self.open.table.try_log(owned))
        } else {
            self.open.table.try_log(ready)
        };
        self.handle_result(logged, &places, first, rows)
    }

    /// Handles the results of a batch of rows, and waits for space for rows that found the buffer
    /// full.
    ///
    /// `places` are the indexes in `rows` of the rows in the batch.
    fn handle_result(
        &mut self,
        logged: Result<Logged, LogError>,
        places: &[usize],
        first: usize,
        rows: &[Bound<'py, PyAny>],
    ) -> PyResult<()> {
        let error = match logged {
            Ok(logged) => {
                self.took(logged);
                return Ok(());
            }
            Err(error) => error,
        };
        let may_wait = self.when_full == WhenFull::Wait;
        let mut waiting = Vec::new();
        self.partly(error, |call, refused| {
            let place = places[refused.index];
            match refused {
                Refused { reason: Refusal::Full { .. }, row: Some(row), .. } if may_wait => {
                    waiting.push((place, row));
                }
                Refused { reason, .. } => call.refused(first + place, &rows[place], reason),
            }
        });
        if waiting.is_empty() {
            return Ok(());
        }
        let (places, owned): (Vec<usize>, Vec<Row>) = waiting.into_iter().unzip();
        let table = &self.open.table;
        match wait(self.py, |keep_waiting| table.log_while(owned, keep_waiting))? {
            Ok(logged) => self.took(logged),
            Err(error) => self.partly(error, |call, refused| {
                let place = places[refused.index];
                call.refused(first + place, &rows[place], refused.reason);
            }),
        }
        Ok(())
    }

    fn took(&mut self, logged: Logged) {
        self.failure.accepted += logged.rows;
        self.url = self.url.take().or(logged.panel_url);
    }

    fn partly(&mut self, error: LogError, mut each: impl FnMut(&mut Self, Refused)) {
        let LogError { accepted, refused, at_risk, .. } = error;
        self.failure.accepted += accepted;
        self.failure.at_risk = at_risk.or(self.failure.at_risk.take());
        refused.into_iter().for_each(|refused| each(self, refused));
    }

    fn refused(&mut self, index: usize, row: &Bound<'py, PyAny>, reason: Refusal) {
        let why = Why::Refused(reason);
        self.failure.not_taken.push(NotTaken { index, row: row.clone(), why });
    }

    /// Logs all rows of a frame.
    fn batches(&mut self, mut batches: Batches, frame: &Bound<'py, PyAny>) -> PyResult<()> {
        let table = &self.open.table;
        let mut first = 0;
        loop {
            // The exporter of the batches may need the GIL to produce the next one.
            let batch = self.py.detach(|| batches.next());
            let batch = match batch {
                Ok(Some(batch)) => batch,
                Ok(None) => return Ok(()),
                Err(error) => {
                    return self.frame_rows(frame, first, PyValueError::new_err(error));
                }
            };
            let naive = NaiveTimes::local();
            let mut row = 0;
            while row < batch.num_rows() {
                let end = batch.num_rows().min(row + CHUNK);
                let rows = (row..end).map(|row| ArrowRow { batch: &batch, row, naive: &naive });
                match wait(self.py, |keep_waiting| table.log_while(rows, keep_waiting))? {
                    Ok(logged) => self.took(logged),
                    Err(error) => {
                        let mut handled = Ok(());
                        self.partly(error, |call, refused| {
                            let index = first + row + refused.index;
                            let made = refused.row.map(|row| value::row_to_python(call.py, &row));
                            match made.transpose() {
                                Ok(row) => {
                                    let none = || call.py.None().into_bound(call.py);
                                    let row = row.map_or_else(none, Bound::into_any);
                                    call.refused(index, &row, refused.reason);
                                }
                                Err(error) => handled = Err(error),
                            }
                        });
                        handled?;
                        if self.has_enough() {
                            self.failure.is_cut_short = true;
                            return Ok(());
                        }
                    }
                }
                row = end;
            }
            first += batch.num_rows();
        }
    }
}

fn has_media(value: &Value) -> bool {
    match value {
        Value::Media(_) => true,
        Value::List(items) => items.iter().any(has_media),
        Value::Struct(fields) => fields.cells().any(|(_, value)| has_media(value)),
        _ => false,
    }
}
