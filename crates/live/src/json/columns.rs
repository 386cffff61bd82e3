//! JSON encoding of query result columns.

use arrow::array::cast::AsArray;
use arrow::array::types::{
    Float16Type, Float32Type, Float64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow::array::{Array, ArrowPrimitiveType, PrimitiveArray, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, FieldRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::json::writer::{NullableEncoder, make_encoder};
use arrow::json::{Encoder, EncoderFactory, EncoderOptions};
use std::sync::Arc;

use super::{structs, write_f64, write_instant, write_non_finite, write_str, write_value};
use streamtable_wire::{CellMark, read_marked};

/// Options for encoding columns as JSON.
#[derive(Debug)]
pub struct Columns {
    options: EncoderOptions,
}

/// The encoders of a batch's columns.
pub struct Cells<'a> {
    columns: Vec<(Vec<u8>, NullableEncoder<'a>)>,
}

impl std::fmt::Debug for Cells<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cells").field("columns", &self.columns.len()).finish_non_exhaustive()
    }
}

impl Default for Columns {
    fn default() -> Self {
        let options = EncoderOptions::default()
            .with_explicit_nulls(true)
            .with_encoder_factory(Arc::new(Ours));
        Self { options }
    }
}

impl Columns {
    /// Creates the encoders for a batch. Fails if the type of a column has no JSON form.
    pub fn of<'a>(&'a self, batch: &'a RecordBatch) -> Result<Cells<'a>, ArrowError> {
        let fields = batch.schema_ref().fields();
        let columns = fields.iter().zip(batch.columns()).map(|(field, column)| {
            let mut name = Vec::with_capacity(field.name().len() + 3);
            write_str(&mut name, field.name());
            name.push(b':');
            Ok((name, make_encoder(field, column.as_ref(), &self.options)?))
        });
        Ok(Cells { columns: columns.collect::<Result<_, ArrowError>>()? })
    }
}

impl Cells<'_> {
    /// Returns the number of columns.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Writes a row as a JSON object.
    pub fn write_row(&mut self, out: &mut Vec<u8>, row: usize) {
        out.push(b'{');
        for column in 0..self.columns.len() {
            if column > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&self.columns[column].0);
            self.write_cell(out, column, row);
        }
        out.push(b'}');
    }

    /// Writes one cell.
    pub fn write_cell(&mut self, out: &mut Vec<u8>, column: usize, row: usize) {
        let encoder = &mut self.columns[column].1;
        if encoder.is_null(row) {
            out.extend_from_slice(b"null");
        } else {
            encoder.encode(row, out);
        }
    }

    /// Returns whether a cell is null.
    pub fn is_null(&self, column: usize, row: usize) -> bool {
        self.columns[column].1.is_null(row)
    }
}

/// The encoders that differ from arrow's own.
#[derive(Debug)]
struct Ours;

impl EncoderFactory for Ours {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Float16 => {
                primitive::<Float16Type>(array, |out, x| write_f32(out, x.to_f32()))
            }
            DataType::Float32 => primitive::<Float32Type>(array, write_f32),
            DataType::Float64 => primitive::<Float64Type>(array, write_f64),
            // A timestamp without a time zone is taken as UTC, as everywhere in StreamTable.
            DataType::Timestamp(TimeUnit::Second, _) => {
                primitive::<TimestampSecondType>(array, |out, t| {
                    write_instant(out, t.saturating_mul(1_000_000));
                })
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                primitive::<TimestampMillisecondType>(array, |out, t| {
                    write_instant(out, t.saturating_mul(1000));
                })
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                primitive::<TimestampMicrosecondType>(array, write_instant)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                primitive::<TimestampNanosecondType>(array, |out, t| {
                    write_instant(out, t.div_euclid(1000));
                })
            }
            DataType::Utf8View
                if CellMark::of_metadata(field.metadata()) == Some(CellMark::Json) =>
            {
                Box::new(JsonText(array.as_string_view()))
            }
            DataType::Struct(_) => match structs::encoder(array.as_struct(), options)? {
                Some(encoder) => encoder,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

/// Writes lists and structs that are encoded as texts.
struct JsonText<'a>(&'a StringViewArray);

impl Encoder for JsonText<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        write_json_text(out, self.0.value(row));
    }
}

/// Writes a value that is encoded as text.
pub(super) fn write_json_text(out: &mut Vec<u8>, text: &str) {
    match read_marked(text) {
        Some(value) => write_value(out, &value),
        None => write_str(out, text),
    }
}

fn write_f32(out: &mut Vec<u8>, x: f32) {
    if x.is_finite() {
        let _ = serde_json::to_writer(out, &x);
    } else {
        write_non_finite(out, x.into());
    }
}

struct Primitive<'a, T: ArrowPrimitiveType, W> {
    array: &'a PrimitiveArray<T>,
    write: W,
}

impl<T: ArrowPrimitiveType, W: Fn(&mut Vec<u8>, T::Native)> Encoder for Primitive<'_, T, W> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        (self.write)(out, self.array.value(row));
    }
}

fn primitive<'a, T: ArrowPrimitiveType>(
    array: &'a dyn Array,
    write: impl Fn(&mut Vec<u8>, T::Native) + 'a,
) -> Box<dyn Encoder + 'a> {
    Box::new(Primitive { array: array.as_primitive::<T>(), write })
}
