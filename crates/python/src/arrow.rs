//! Logs many rows at once from Arrow data: pandas, Polars, PyArrow, DuckDB and others.
//!
//! Rows are encoded from Arrow's columns without holding the GIL.

use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::ArrowArrayStreamReader;
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_pyarrow::FromPyArrow;
use arrow_schema::{DataType, Field};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use streamtable::Value;
use streamtable_format::{ArrowRow, CellMark, NaiveTimes};

use crate::value::to_python;
use crate::views;

/// Rows as Arrow record batches.
pub(crate) enum Batches {
    Stream(ArrowArrayStreamReader),
    One(Option<RecordBatch>),
}

impl Batches {
    /// Imports an object's Arrow data; returns `None` if the object does not export any.
    pub(crate) fn of(rows: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let py = rows.py();
        if rows.hasattr(intern!(py, "__arrow_c_stream__"))? {
            Ok(Some(Self::Stream(ArrowArrayStreamReader::from_pyarrow_bound(rows)?)))
        } else if rows.hasattr(intern!(py, "__arrow_c_array__"))? {
            Ok(Some(Self::One(Some(RecordBatch::from_pyarrow_bound(rows)?))))
        } else {
            Ok(None)
        }
    }

    /// Returns the next batch.
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>, String> {
        match self {
            Self::Stream(reader) => reader.next().transpose().map_err(|error| error.to_string()),
            Self::One(batch) => Ok(batch.take()),
        }
    }
}

/// Replaces views of strings and bytes in a response in Arrow's stream format by plain arrays, which
/// all versions of pyarrow support.
#[pyfunction]
#[pyo3(signature = (stream, /))]
pub(crate) fn arrow_without_views<'py>(
    py: Python<'py>,
    stream: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let stream = py.detach(|| views::replace(stream));
    let stream = stream.map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(PyBytes::new(py, &stream))
}

/// Makes Python values from a response in Arrow's stream format.
#[pyfunction]
#[pyo3(signature = (stream, /))]
pub(crate) fn rows_of_arrow<'py>(
    py: Python<'py>,
    stream: &[u8],
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let wrong = |error: &dyn std::fmt::Display| PyValueError::new_err(error.to_string());
    let reader = StreamReader::try_new(stream, None).map_err(|error| wrong(&error))?;
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| wrong(&error))?;
        for index in 0..batch.num_rows() {
            let row = ArrowRow { batch: &batch, row: index, naive: &NaiveTimes::Utc };
            let row = row.to_row().map_err(|error| wrong(&error))?;
            let dict = PyDict::new(py);
            let schema = batch.schema_ref();
            let columns = schema.fields().iter().zip(batch.columns());
            for ((name, value), (field, column)) in row.into_iter().zip(columns) {
                let value = match value {
                    Value::String(text) if is_json(column.as_ref(), index) => loads(py, text)?,
                    value => cell(py, value, field)?,
                };
                dict.set_item(&*name, value)?;
            }
            rows.push(dict);
        }
    }
    Ok(rows)
}

/// Returns whether a cell is JSON text in a union, as functions for JSON return lists and objects.
fn is_json(array: &dyn Array, row: usize) -> bool {
    let DataType::Union(fields, _) = array.data_type() else { return false };
    let kind = array.as_union().type_id(row);
    fields.iter().any(|(id, field)| id == kind && field.metadata().contains_key("is_json"))
}

fn loads(py: Python<'_>, text: impl AsRef<str>) -> PyResult<Bound<'_, PyAny>> {
    py.import("json")?.call_method1("loads", (text.as_ref(),))
}

/// Makes a Python value from a cell. A cell of a column with mixed types is a struct with exactly
/// one non-null field.
fn cell<'py>(py: Python<'py>, value: Value, field: &Field) -> PyResult<Bound<'py, PyAny>> {
    const KINDS: [&str; 6] = ["n", "s", "b", "t", "media", "json"];
    let is_nested = CellMark::of_metadata(field.metadata()) == Some(CellMark::Nested);
    let is_mixed = match field.data_type() {
        _ if is_nested => false,
        DataType::Struct(fields) => {
            fields.len() >= 2 && fields.iter().all(|field| KINDS.contains(&field.name().as_str()))
        }
        _ => false,
    };
    match value {
        Value::Struct(fields) if is_mixed => {
            let there = fields.into_iter().find(|(_, value)| !matches!(value, Value::Null));
            match there {
                Some((kind, Value::String(text))) if kind == "json" => loads(py, text),
                Some((_, value)) => to_python(py, &value),
                None => Ok(py.None().into_bound(py)),
            }
        }
        value => to_python(py, &value),
    }
}
