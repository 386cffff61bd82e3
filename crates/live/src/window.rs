//! A part of a view, and its encodings.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::types::{Date32Type, Float64Type, Int32Type, TimestampMillisecondType};
use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::writer::StreamWriter;

use crate::error::LiveError;
use crate::json::{write_f64, write_str};
use crate::proto::{Scalar, ScalarValue};

/// A part of a view: rows, with columns of the types that pages support.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    pub(crate) rows: usize,
    pub(crate) columns: Vec<(String, ArrayRef)>,
    /// For a grouped view, the values by which rows are grouped, one column per level.
    pub(crate) paths: Option<Paths>,
}

/// The groups to which the rows of a grouped view belong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths {
    pub(crate) names: Vec<String>,
    pub(crate) columns: Vec<ArrayRef>,
    /// The number of levels of each row: 0 for the total.
    pub(crate) depths: Vec<usize>,
}

impl Window {
    /// Returns a range of rows and columns.
    pub(crate) fn part(&self, rows: Range<usize>, columns: Range<usize>) -> Self {
        let slice = |array: &ArrayRef| array.slice(rows.start, rows.len());
        let columns = columns.start.min(self.columns.len())..columns.end.min(self.columns.len());
        let paths = self.paths.as_ref().map(|paths| Paths {
            names: paths.names.clone(),
            columns: paths.columns.iter().map(slice).collect(),
            depths: paths.depths[rows.clone()].to_vec(),
        });
        let columns =
            self.columns[columns].iter().map(|(name, array)| (name.clone(), slice(array)));
        Self { rows: rows.len(), columns: columns.collect(), paths }
    }

    /// Returns the selected rows.
    pub(crate) fn take(&self, rows: &UInt32Array) -> Result<Self, LiveError> {
        let paths = match &self.paths {
            Some(paths) => Some(Paths {
                names: paths.names.clone(),
                columns: arrow::compute::take_arrays(&paths.columns, rows, None)?,
                depths: rows.values().iter().map(|&row| paths.depths[row as usize]).collect(),
            }),
            None => None,
        };
        let columns = self
            .columns
            .iter()
            .map(|(name, array)| Ok((name.clone(), arrow::compute::take(array, rows, None)?)));
        let columns = columns.collect::<Result<_, LiveError>>()?;
        Ok(Self { rows: rows.len(), columns, paths })
    }

    /// Encodes the window in Arrow's stream format.
    pub(crate) fn to_arrow(&self) -> Result<Vec<u8>, LiveError> {
        let levels = self.paths.iter().flat_map(|paths| paths.columns.iter().enumerate());
        let levels = levels.map(|(level, array)| (format!("__ROW_PATH_{level}__"), array));
        let columns = self.columns.iter().map(|(name, array)| (name.clone(), array));
        let (fields, arrays): (Vec<_>, Vec<_>) = levels
            .chain(columns)
            .map(|(name, array)| {
                (Field::new(name, array.data_type().clone(), true), Arc::clone(array))
            })
            .unzip();
        let schema = Arc::new(Schema::new(fields));
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)?;
        let mut out = Vec::new();
        let mut writer = StreamWriter::try_new(&mut out, &schema)?;
        writer.write(&batch)?;
        writer.finish()?;
        drop(writer);
        Ok(out)
    }

    /// Encodes the window as an object with one array per column.
    pub(crate) fn to_columns(&self, with_ids: bool) -> String {
        let mut out = vec![b'{'];
        let begin = |out: &mut Vec<u8>, name: &str| {
            if out.len() > 1 {
                out.push(b',');
            }
            write_str(out, name);
            out.extend_from_slice(b":[");
        };
        if let Some(paths) = &self.paths {
            let names: &[&str] =
                if with_ids { &["__ROW_PATH__", "__ID__"] } else { &["__ROW_PATH__"] };
            for name in names {
                begin(&mut out, name);
                for row in 0..self.rows {
                    separate(&mut out, row);
                    paths.write(&mut out, row);
                }
                out.push(b']');
            }
        }
        for (name, array) in &self.columns {
            begin(&mut out, name);
            let cells = Cells::of(array);
            for row in 0..self.rows {
                separate(&mut out, row);
                cells.write(&mut out, row);
            }
            out.push(b']');
        }
        out.push(b'}');
        into_text(out)
    }

    /// Encodes the window as an array with one object per row.
    pub(crate) fn to_rows(&self) -> String {
        let mut out = vec![b'['];
        self.write_rows(&mut out, b",");
        out.push(b']');
        into_text(out)
    }

    /// Encodes the window as lines with one object per row.
    pub(crate) fn to_ndjson(&self) -> String {
        let mut out = Vec::new();
        self.write_rows(&mut out, b"\n");
        into_text(out)
    }

    fn write_rows(&self, out: &mut Vec<u8>, between: &[u8]) {
        let cells: Vec<_> =
            self.columns.iter().map(|(name, array)| (name, Cells::of(array))).collect();
        for row in 0..self.rows {
            if row > 0 {
                out.extend_from_slice(between);
            }
            let start = out.len();
            if let Some(paths) = &self.paths {
                out.extend_from_slice(b"{\"__ROW_PATH__\":");
                paths.write(out, row);
            }
            for (name, cells) in &cells {
                out.push(if out.len() == start { b'{' } else { b',' });
                write_str(out, name);
                out.push(b':');
                cells.write(out, row);
            }
            if out.len() == start {
                out.push(b'{');
            }
            out.push(b'}');
        }
    }

    /// Encodes the window as comma-separated values with a header.
    pub(crate) fn to_csv(&self) -> String {
        let levels = self.paths.iter().flat_map(|paths| paths.names.iter().zip(&paths.columns));
        let columns: Vec<(&String, Cells<'_>)> = levels
            .chain(self.columns.iter().map(|(name, array)| (name, array)))
            .map(|(name, array)| (name, Cells::of(array)))
            .collect();
        let mut out = Vec::new();
        for (i, (name, _)) in columns.iter().enumerate() {
            separate(&mut out, i);
            write_field(&mut out, name);
        }
        out.push(b'\n');
        for row in 0..self.rows {
            for (i, (_, cells)) in columns.iter().enumerate() {
                separate(&mut out, i);
                cells.write_csv(&mut out, row);
            }
            out.push(b'\n');
        }
        into_text(out)
    }
}

impl Paths {
    fn write(&self, out: &mut Vec<u8>, row: usize) {
        out.push(b'[');
        for (level, array) in self.columns.iter().take(self.depths[row]).enumerate() {
            separate(out, level);
            Cells::of(array).write(out, row);
        }
        out.push(b']');
    }
}

fn separate(out: &mut Vec<u8>, place: usize) {
    if place > 0 {
        out.push(b',');
    }
}

fn into_text(out: Vec<u8>) -> String {
    // Only UTF-8 was written.
    String::from_utf8(out).unwrap_or_default()
}

/// Access to the single cells of a column.
pub(crate) enum Cells<'a> {
    Bool(&'a arrow::array::BooleanArray),
    Float(&'a arrow::array::Float64Array),
    Time(&'a arrow::array::TimestampMillisecondArray),
    Date(&'a arrow::array::Date32Array),
    Text(&'a arrow::array::DictionaryArray<Int32Type>, &'a StringArray),
    None,
}

impl<'a> Cells<'a> {
    /// Creates access to a column of a type that pages support.
    pub(crate) fn of(array: &'a ArrayRef) -> Self {
        let cells = match array.data_type() {
            DataType::Boolean => array.as_boolean_opt().map(Self::Bool),
            DataType::Float64 => array.as_primitive_opt::<Float64Type>().map(Self::Float),
            DataType::Date32 => array.as_primitive_opt::<Date32Type>().map(Self::Date),
            DataType::Dictionary(..) => array
                .as_dictionary_opt::<Int32Type>()
                .and_then(|it| Some(Self::Text(it, it.values().as_string_opt::<i32>()?))),
            _ => array.as_primitive_opt::<TimestampMillisecondType>().map(Self::Time),
        };
        cells.unwrap_or(Self::None)
    }

    /// Returns a cell as a value of the protocol.
    pub(crate) fn scalar(&self, row: usize) -> Scalar {
        let value = match self {
            Self::Bool(array) => array.is_valid(row).then(|| ScalarValue::Bool(array.value(row))),
            Self::Float(array) => array.is_valid(row).then(|| ScalarValue::Float(array.value(row))),
            Self::Time(array) => {
                array.is_valid(row).then(|| ScalarValue::Float(array.value(row) as f64))
            }
            Self::Date(array) => {
                array.is_valid(row).then(|| ScalarValue::Float(day(array.value(row)) as f64))
            }
            Self::Text(..) => self.text(row).map(|text| ScalarValue::String(text.to_owned())),
            Self::None => None,
        };
        value.unwrap_or(ScalarValue::Null(0)).into()
    }

    fn text(&self, row: usize) -> Option<&str> {
        let Self::Text(array, values) = self else { return None };
        array.key(row).map(|key| values.value(key))
    }

    /// Writes a cell as JSON. `NaN` and the infinities become strings, which pages show unchanged.
    fn write(&self, out: &mut Vec<u8>, row: usize) {
        match self {
            Self::Bool(array) if array.is_valid(row) => {
                out.extend_from_slice(if array.value(row) { b"true" } else { b"false" });
            }
            Self::Float(array) if array.is_valid(row) => write_f64(out, array.value(row)),
            Self::Time(array) if array.is_valid(row) => {
                out.extend_from_slice(array.value(row).to_string().as_bytes());
            }
            Self::Date(array) if array.is_valid(row) => {
                out.extend_from_slice(day(array.value(row)).to_string().as_bytes());
            }
            Self::Text(..) => match self.text(row) {
                Some(text) => write_str(out, text),
                None => out.extend_from_slice(b"null"),
            },
            _ => out.extend_from_slice(b"null"),
        }
    }

    fn write_csv(&self, out: &mut Vec<u8>, row: usize) {
        match self {
            Self::Text(..) => write_field(out, self.text(row).unwrap_or_default()),
            Self::Float(array) if array.is_valid(row) => {
                out.extend_from_slice(array.value(row).to_string().as_bytes());
            }
            Self::Time(array) if array.is_valid(row) => write_time(out, array.value(row)),
            Self::Date(array) if array.is_valid(row) => write_time(out, day(array.value(row))),
            Self::Bool(array) if array.is_valid(row) => self.write(out, row),
            _ => {}
        }
    }
}

/// Returns the milliseconds at the start of a day.
fn day(days: i32) -> i64 {
    i64::from(days) * 86_400_000
}

fn write_time(out: &mut Vec<u8>, millis: i64) {
    let text = jiff::Timestamp::from_millisecond(millis)
        .map_or_else(|_| millis.to_string(), |time| time.to_string());
    out.extend_from_slice(text.as_bytes());
}

/// Writes a field of comma-separated values, quoted if necessary.
fn write_field(out: &mut Vec<u8>, text: &str) {
    if !text.contains([',', '"', '\n', '\r']) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}
