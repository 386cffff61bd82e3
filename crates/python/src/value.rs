//! Conversion of Python values to cell values.

use std::path::PathBuf;

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple, PyType};
use pyo3::{IntoPyObjectExt, intern};
use streamtable::{Media, MediaKind, Row, Timestamp, Value};
use streamtable_format::MediaSource;

use crate::local;
use crate::plain::{LONE_SURROGATE, too_wide};

/// Maximum depth of the conversion: slightly more than the limit of a table, so that the table
/// reports the error.
const MAX_DEPTH: usize = 70;

/// The module that converts types of other packages.
const CONVERT: &str = "streamtable._convert";

/// Why a Python value is not a row.
#[derive(Debug)]
pub(crate) struct BadRow {
    /// The column whose value is the reason, if it is one column.
    pub(crate) column: Option<String>,
    /// The error, which names the column.
    pub(crate) error: PyErr,
}

impl BadRow {
    /// Adds the column's name to the error of a conversion. The result is a `TypeError`, whatever
    /// the value's own code raised, unless that is no `Exception`, such as `KeyboardInterrupt`.
    fn in_column(py: Python<'_>, column: String, error: PyErr) -> Self {
        if !error.is_instance_of::<PyException>(py) {
            return Self { column: Some(column), error };
        }
        let is_type_error = error.is_instance_of::<PyTypeError>(py);
        let reason = if is_type_error { error.value(py).to_string() } else { error.to_string() };
        let in_column = PyTypeError::new_err(format!("column {column:?}: {reason}"));
        in_column.set_cause(py, if is_type_error { error.cause(py) } else { Some(error) });
        Self { column: Some(column), error: in_column }
    }
}

impl From<PyErr> for BadRow {
    fn from(error: PyErr) -> Self {
        Self { column: None, error }
    }
}

/// Makes a row from anything that Python code treats as a row.
pub(crate) fn row(row: &Bound<'_, PyAny>) -> Result<Row, BadRow> {
    let py = row.py();
    let dict = match row.cast_exact::<PyDict>() {
        Ok(dict) => dict.copy()?,
        Err(_) => {
            static AS_ROW: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            let dict = AS_ROW.import(py, CONVERT, "as_row")?.call1((row,))?;
            dict.cast_into::<PyDict>().map_err(PyErr::from)?
        }
    };
    let mut row = Row::new();
    for (key, value) in dict.iter() {
        let name = name(&key)?;
        match value_at(&value, 0) {
            Ok(value) => row.push(name, value),
            Err(error) => return Err(BadRow::in_column(py, name, error)),
        }
    }
    Ok(row)
}

/// Makes the fields of a struct.
fn fields(dict: &Bound<'_, PyDict>, depth: usize) -> PyResult<Row> {
    let mut row = Row::new();
    // Conversion may run code that changes the dict, so iterate over a copy.
    for (key, value) in dict.copy()?.iter() {
        row.push(name(&key)?, value_at(&value, depth)?);
    }
    Ok(row)
}

fn name(key: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(name) = key.cast_exact::<PyString>() {
        return text(name);
    }
    static AS_NAME: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let name = AS_NAME.import(key.py(), CONVERT, "as_name")?.call1((key,))?;
    text(name.cast::<PyString>()?)
}

fn text(text: &Bound<'_, PyString>) -> PyResult<String> {
    match text.to_str() {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(PyTypeError::new_err(LONE_SURROGATE)),
    }
}

fn value_at(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    if depth > MAX_DEPTH {
        return Err(PyTypeError::new_err(
            "lists and dicts nest deeper than 64; flatten them, or log them as a string",
        ));
    }
    match plain(value, depth)? {
        Some(value) => Ok(value),
        None => simplified(value, depth),
    }
}

/// Converts a value of a built-in type; returns `None` for other types.
fn plain(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Option<Value>> {
    Ok(Some(if value.is_none() {
        Value::Null
    } else if let Ok(string) = value.cast_exact::<PyString>() {
        Value::String(text(string)?)
    } else if let Ok(flag) = value.cast_exact::<PyBool>() {
        Value::Bool(flag.is_true())
    } else if value.is_exact_instance_of::<PyInt>() {
        match value.extract::<i64>() {
            Ok(int) => Value::Int(int.into()),
            Err(_) => return Err(PyTypeError::new_err(too_wide(value))),
        }
    } else if let Ok(float) = value.cast_exact::<PyFloat>() {
        Value::Float(float.value())
    } else if let Ok(list) = value.cast_exact::<PyList>() {
        // Converting the elements may run code that changes the list.
        Value::List(
            list.to_tuple().iter().map(|v| value_at(&v, depth + 1)).collect::<Result<_, _>>()?,
        )
    } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        Value::List(tuple.iter().map(|v| value_at(&v, depth + 1)).collect::<Result<_, _>>()?)
    } else if let Ok(dict) = value.cast_exact::<PyDict>() {
        Value::Struct(fields(dict, depth + 1)?)
    } else {
        return Ok(None);
    }))
}

/// Converts any other value through `_convert.simplify`.
fn simplified(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    let py = value.py();
    static SIMPLIFY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let simple = SIMPLIFY.import(py, CONVERT, "simplify")?.call1((value,))?;
    static INSTANT: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static MEDIA: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    if simple.is_instance(INSTANT.import(py, CONVERT, "Instant")?)? {
        let micros = simple.getattr(intern!(py, "micros"))?.extract()?;
        let fold: Option<bool> = simple.getattr(intern!(py, "fold"))?.extract()?;
        let micros = fold.map_or(micros, |fold| local::to_utc(micros, fold));
        return Ok(Timestamp::from_micros(micros).into());
    }
    if simple.is_instance(MEDIA.import(py, "streamtable._media", "Media")?)? {
        return Ok(media(&simple)?.into());
    }
    plain(&simple, depth)?.ok_or_else(|| {
        let kind = value.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
        PyTypeError::new_err(format!("a value of type {kind} cannot be stored in a table"))
    })
}

fn media(media: &Bound<'_, PyAny>) -> PyResult<Media> {
    let py = media.py();
    let wrong = |error: streamtable::MediaError| PyTypeError::new_err(error.to_string());
    let kind: String = media.getattr(intern!(py, "kind"))?.extract()?;
    let kind: MediaKind = kind.parse().map_err(wrong)?;
    let format: String = media.getattr(intern!(py, "format"))?.extract()?;
    let data = media.getattr(intern!(py, "data"))?;
    let made = match data.cast::<PyBytes>() {
        Ok(bytes) => {
            let bytes = bytes.as_bytes().to_vec();
            match kind {
                MediaKind::Image => Media::image(bytes),
                MediaKind::Audio => Media::audio(bytes, &format),
                MediaKind::Video => Media::video(bytes, &format),
                MediaKind::Html => Ok(Media::html(utf8(bytes)?)),
                MediaKind::Markdown => Ok(Media::markdown(utf8(bytes)?)),
            }
        }
        Err(_) => {
            let path: PathBuf = media.getattr(intern!(py, "path"))?.extract()?;
            Media::from_path(kind, path)
        }
    }
    .map_err(wrong)?;
    let caption: Option<String> = media.getattr(intern!(py, "caption"))?.extract()?;
    Ok(match caption {
        Some(caption) => made.with_caption(caption),
        None => made,
    })
}

fn utf8(bytes: Vec<u8>) -> PyResult<String> {
    String::from_utf8(bytes).map_err(|_| PyTypeError::new_err("the document is not UTF-8"))
}

/// Makes a Python dict from a row.
pub(crate) fn row_to_python<'py>(py: Python<'py>, row: &Row) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in row.cells() {
        dict.set_item(name, to_python(py, value)?)?;
    }
    Ok(dict)
}

/// Makes a Python object from a value.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Null => Ok(py.None().into_bound(py)),
        Value::Bool(flag) => flag.into_bound_py_any(py),
        Value::Int(int) => int.into_bound_py_any(py),
        Value::Float(float) => float.into_bound_py_any(py),
        Value::String(text) => text.into_bound_py_any(py),
        Value::Timestamp(t) => {
            static FROM_MICROS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            FROM_MICROS.import(py, CONVERT, "from_micros")?.call1((t.as_micros(),))
        }
        Value::Media(media) => {
            let dict = PyDict::new(py);
            dict.set_item("kind", media.kind().as_str())?;
            if let MediaSource::Stored(file) = media.source() {
                dict.set_item("path", &file.path)?;
                dict.set_item("hash", file.sha256.as_ref())?;
                dict.set_item("size", file.size)?;
                let (width, height) = media.dimensions().unzip();
                dict.set_item("width", width)?;
                dict.set_item("height", height)?;
            }
            dict.set_item("format", media.format())?;
            dict.set_item("caption", media.caption())?;
            Ok(dict.into_any())
        }
        Value::List(items) => {
            let items: PyResult<Vec<_>> = items.iter().map(|item| to_python(py, item)).collect();
            Ok(PyList::new(py, items?)?.into_any())
        }
        Value::Struct(fields) => Ok(row_to_python(py, fields)?.into_any()),
    }
}
