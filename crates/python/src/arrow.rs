//! Logs many rows at once from Arrow data: pandas, Polars, PyArrow, DuckDB and others.
//!
//! Rows are encoded from Arrow's columns without holding the GIL.

use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::ArrowArrayStreamReader;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_pyarrow::FromPyArrow;
use arrow_schema::{DataType, Field, TimeUnit};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use serde::ser::{Error, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use streamtable::{Row, Timestamp, Value};

use crate::value::to_python;
use crate::{local, views};

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

/// Returns false for the index columns that pandas adds to the named columns.
fn is_column(field: &Field) -> bool {
    let index =
        field.name().strip_prefix("__index_level_").and_then(|rest| rest.strip_suffix("__"));
    index.is_none_or(|level| level.parse::<u32>().is_err())
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
            let row = ArrowRow { batch: &batch, row: index, naive: Naive::Utc };
            let row = Row::from_serialize(&row);
            let row = row.map_err(|error| wrong(&error))?;
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
    let is_mixed = match field.data_type() {
        DataType::Struct(fields) => {
            let mut kinds = KINDS.iter();
            fields.len() >= 2 && fields.iter().all(|field| kinds.any(|kind| kind == field.name()))
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

/// The time zone of timestamps whose type has none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Naive {
    /// The local time zone, in rows that a program logs.
    Local,
    /// UTC, in results of the server.
    Utc,
}

/// One row of a batch.
pub(crate) struct ArrowRow<'a> {
    pub(crate) batch: &'a RecordBatch,
    pub(crate) row: usize,
    pub(crate) naive: Naive,
}

impl Serialize for ArrowRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { batch, row, naive } = *self;
        let mut map = serializer.serialize_map(Some(batch.num_columns()))?;
        let schema = batch.schema_ref();
        let columns = schema.fields().iter().zip(batch.columns());
        for (field, column) in columns.filter(|(field, _)| is_column(field)) {
            map.serialize_entry(field.name(), &Cell { array: column.as_ref(), row, naive })?;
        }
        map.end()
    }
}

#[derive(Clone, Copy)]
struct Cell<'a> {
    array: &'a dyn Array,
    row: usize,
    naive: Naive,
}

impl Cell<'_> {
    /// Returns the cell of a nested array.
    fn nested<'b>(&self, array: &'b dyn Array, row: usize) -> Cell<'b> {
        Cell { array, row, naive: self.naive }
    }

    /// Serializes all elements of a nested array.
    fn list<S: Serializer>(&self, items: &dyn Array, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(items.len()))?;
        for row in 0..items.len() {
            list.serialize_element(&self.nested(items, row))?;
        }
        list.end()
    }
}

impl Serialize for Cell<'_> {
    /// Dates and times of day become strings, durations seconds, decimals floats.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { array, row, naive } = *self;
        if array.is_null(row) {
            return serializer.serialize_unit();
        }
        macro_rules! number {
            ($method:ident, $ty:ty) => {
                serializer.$method(array.as_primitive::<$ty>().value(row))
            };
        }
        macro_rules! instant {
            ($ty:ty, $to_micros:expr) => {{
                let micros = $to_micros(array.as_primitive::<$ty>().value(row));
                let micros = match (naive, array.data_type()) {
                    (Naive::Local, DataType::Timestamp(_, None)) => local::to_utc(micros, false),
                    _ => micros,
                };
                Timestamp::from_micros(micros).serialize(serializer)
            }};
        }
        macro_rules! seconds {
            ($ty:ty, $a_second:expr) => {
                serializer.serialize_f64(array.as_primitive::<$ty>().value(row) as f64 / $a_second)
            };
        }
        macro_rules! text {
            ($ty:ty, $method:ident) => {
                match array.as_primitive::<$ty>().$method(row) {
                    Some(text) => serializer.serialize_str(&text.to_string()),
                    None => Err(S::Error::custom("a date or time out of range")),
                }
            };
        }
        macro_rules! decimal {
            ($ty:ty) => {{
                let text = array.as_primitive::<$ty>().value_as_string(row);
                serializer.serialize_f64(text.parse().map_err(S::Error::custom)?)
            }};
        }
        match array.data_type() {
            DataType::Null => serializer.serialize_unit(),
            DataType::Boolean => serializer.serialize_bool(array.as_boolean().value(row)),
            DataType::Int8 => number!(serialize_i8, Int8Type),
            DataType::Int16 => number!(serialize_i16, Int16Type),
            DataType::Int32 => number!(serialize_i32, Int32Type),
            DataType::Int64 => number!(serialize_i64, Int64Type),
            DataType::UInt8 => number!(serialize_u8, UInt8Type),
            DataType::UInt16 => number!(serialize_u16, UInt16Type),
            DataType::UInt32 => number!(serialize_u32, UInt32Type),
            DataType::UInt64 => number!(serialize_u64, UInt64Type),
            DataType::Float16 => {
                serializer.serialize_f64(array.as_primitive::<Float16Type>().value(row).into())
            }
            DataType::Float32 => number!(serialize_f32, Float32Type),
            DataType::Float64 => number!(serialize_f64, Float64Type),
            DataType::Utf8 => serializer.serialize_str(array.as_string::<i32>().value(row)),
            DataType::LargeUtf8 => serializer.serialize_str(array.as_string::<i64>().value(row)),
            DataType::Utf8View => serializer.serialize_str(array.as_string_view().value(row)),
            DataType::Timestamp(TimeUnit::Second, _) => {
                instant!(TimestampSecondType, |t: i64| t.saturating_mul(1_000_000))
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                instant!(TimestampMillisecondType, |t: i64| t.saturating_mul(1000))
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                instant!(TimestampMicrosecondType, |t: i64| t)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                instant!(TimestampNanosecondType, |t: i64| t.div_euclid(1000))
            }
            DataType::Date32 => text!(Date32Type, value_as_date),
            DataType::Date64 => text!(Date64Type, value_as_date),
            DataType::Time32(TimeUnit::Second) => text!(Time32SecondType, value_as_time),
            DataType::Time32(_) => text!(Time32MillisecondType, value_as_time),
            DataType::Time64(TimeUnit::Microsecond) => text!(Time64MicrosecondType, value_as_time),
            DataType::Time64(_) => text!(Time64NanosecondType, value_as_time),
            DataType::Duration(TimeUnit::Second) => seconds!(DurationSecondType, 1.0),
            DataType::Duration(TimeUnit::Millisecond) => seconds!(DurationMillisecondType, 1e3),
            DataType::Duration(TimeUnit::Microsecond) => seconds!(DurationMicrosecondType, 1e6),
            DataType::Duration(TimeUnit::Nanosecond) => seconds!(DurationNanosecondType, 1e9),
            DataType::Decimal32(_, _) => decimal!(Decimal32Type),
            DataType::Decimal64(_, _) => decimal!(Decimal64Type),
            DataType::Decimal128(_, _) => decimal!(Decimal128Type),
            DataType::Decimal256(_, _) => decimal!(Decimal256Type),
            DataType::Dictionary(_, _) => {
                let dictionary = array.as_any_dictionary();
                // Null keys were handled above.
                let row = integer(dictionary.keys(), row);
                self.nested(dictionary.values().as_ref(), row).serialize(serializer)
            }
            DataType::List(_) => self.list(array.as_list::<i32>().value(row).as_ref(), serializer),
            DataType::LargeList(_) => {
                self.list(array.as_list::<i64>().value(row).as_ref(), serializer)
            }
            DataType::FixedSizeList(_, _) => {
                self.list(array.as_fixed_size_list().value(row).as_ref(), serializer)
            }
            DataType::ListView(_) => {
                self.list(array.as_list_view::<i32>().value(row).as_ref(), serializer)
            }
            DataType::LargeListView(_) => {
                self.list(array.as_list_view::<i64>().value(row).as_ref(), serializer)
            }
            DataType::RunEndEncoded(ends, _) => {
                macro_rules! run {
                    ($ty:ty) => {{
                        let runs = array.as_run::<$ty>();
                        let row = runs.get_physical_index(row);
                        self.nested(runs.values().as_ref(), row).serialize(serializer)
                    }};
                }
                match ends.data_type() {
                    DataType::Int16 => run!(Int16Type),
                    DataType::Int32 => run!(Int32Type),
                    _ => run!(Int64Type),
                }
            }
            DataType::Struct(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                    map.serialize_entry(field.name(), &self.nested(column.as_ref(), row))?;
                }
                map.end()
            }
            DataType::Map(_, _) => {
                let entries = array.as_map().value(row);
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for row in 0..entries.len() {
                    let [key, value] = [0, 1].map(|i| self.nested(entries.column(i).as_ref(), row));
                    map.serialize_entry(&key, &value)?;
                }
                map.end()
            }
            DataType::Union(_, _) => {
                let value = array.as_union().value(row);
                self.nested(value.as_ref(), 0).serialize(serializer)
            }
            ty => Err(S::Error::custom(format!(
                "a value of Arrow type {ty} cannot be stored in a table"
            ))),
        }
    }
}

/// Returns an element of an array of integers that are indexes.
fn integer(array: &dyn Array, row: usize) -> usize {
    macro_rules! index {
        ($ty:ty) => {
            array.as_primitive::<$ty>().value(row) as usize
        };
    }
    match array.data_type() {
        DataType::Int8 => index!(Int8Type),
        DataType::Int16 => index!(Int16Type),
        DataType::Int32 => index!(Int32Type),
        DataType::Int64 => index!(Int64Type),
        DataType::UInt8 => index!(UInt8Type),
        DataType::UInt16 => index!(UInt16Type),
        DataType::UInt32 => index!(UInt32Type),
        _ => index!(UInt64Type),
    }
}
