//! The outermost serializer, for the cells of a row.

use std::fmt;

use serde::Serialize;
use serde::ser::{self, Impossible};
use streamtable_schema::{
    SchemaError, TIMESTAMP_COLUMN, Type, Value, ValueError, row_time_of_text,
    token::{self, refuse},
};

use super::key::ToKey;
use super::value::{Failure, ToBytes};
use super::{RESERVED_COLUMNS, RowSink};
use crate::json::{self, write_str};

/// The reason why a row could not be written.
#[derive(Debug)]
pub(super) enum RowFailure {
    Schema(SchemaError),
    /// It is neither a struct nor a map.
    NotARow,
}

impl fmt::Display for RowFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema(error) => error.fmt(f),
            Self::NotARow => f.write_str("not a row"),
        }
    }
}

impl std::error::Error for RowFailure {}

impl ser::Error for RowFailure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let error = ValueError::Unsupported { what: message.to_string() };
        Self::Schema(SchemaError::Value { column: String::new(), error })
    }
}

/// A serializer that writes each cell of a row followed by a comma, and returns whether one of them
/// was the timestamp.
pub(super) struct ToLine<'a, S> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) sink: &'a mut S,
}

impl<'a, S: RowSink> ToLine<'a, S> {
    fn cells(self) -> CellWriter<'a, S> {
        self.out.push(b'{');
        CellWriter { line: self, key: String::new(), has_timestamp: false }
    }
}

impl<'a, S: RowSink> ser::Serializer for ToLine<'a, S> {
    type Ok = bool;
    type Error = RowFailure;
    type SerializeSeq = Impossible<bool, RowFailure>;
    type SerializeTuple = Impossible<bool, RowFailure>;
    type SerializeTupleStruct = Impossible<bool, RowFailure>;
    type SerializeTupleVariant = Impossible<bool, RowFailure>;
    type SerializeMap = CellWriter<'a, S>;
    type SerializeStruct = CellWriter<'a, S>;
    type SerializeStructVariant = Impossible<bool, RowFailure>;

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, RowFailure> {
        Ok(self.cells())
    }

    fn serialize_struct(
        self,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStruct, RowFailure> {
        match name {
            token::JSON_NUMBER | token::JSON_RAW => Err(RowFailure::NotARow),
            _ => Ok(self.cells()),
        }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, row: &T) -> Result<bool, RowFailure> {
        row.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        row: &T,
    ) -> Result<bool, RowFailure> {
        match name {
            token::TIMESTAMP | token::MEDIA => Err(RowFailure::NotARow),
            _ => row.serialize(self),
        }
    }

    /// Writes a row with one cell, as an enum variant with content.
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<bool, RowFailure> {
        let mut cells = self.cells();
        cells.cell(variant, value)?;
        Ok(cells.has_timestamp)
    }

    refuse! {
        RowFailure::NotARow;
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
        serialize_seq(Option<usize>) -> SerializeSeq;
        serialize_tuple(usize) -> SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant;
    }
}

/// A row whose opening brace has been written.
pub(super) struct CellWriter<'a, S> {
    line: ToLine<'a, S>,
    /// The key of the map entry that is being written; reused to avoid allocations.
    key: String,
    has_timestamp: bool,
}

impl<S: RowSink> CellWriter<'_, S> {
    fn cell<T: Serialize + ?Sized>(&mut self, column: &str, value: &T) -> Result<(), RowFailure> {
        let (out, sink) = (&mut *self.line.out, &mut *self.line.sink);
        if column == TIMESTAMP_COLUMN {
            self.has_timestamp = true;
        } else if column.starts_with('_') && RESERVED_COLUMNS.contains(&column) {
            let column = column.to_owned();
            return Err(RowFailure::Schema(SchemaError::ReservedColumn { column }));
        }
        write_str(out, column);
        out.push(b':');
        let start = out.len();
        let ty =
            value.serialize(ToBytes::cell(&mut *out, &mut *sink)).map_err(|Failure(error)| {
                RowFailure::Schema(SchemaError::Value { column: column.to_owned(), error })
            })?;
        let is_time =
            column == TIMESTAMP_COLUMN && ty == Type::String && is_row_time(&out[start..]);
        out.push(b',');
        let ty = if is_time { Type::Timestamp } else { ty };
        sink.cell(column, &ty).map_err(RowFailure::Schema)
    }
}

/// Returns whether JSON text is a string with the time of a row.
fn is_row_time(json: &[u8]) -> bool {
    let value = std::str::from_utf8(json).ok().and_then(|text| json::parse(text).ok());
    matches!(value, Some(Value::String(text)) if row_time_of_text(&text).is_some())
}

impl<S: RowSink> ser::SerializeStruct for CellWriter<'_, S> {
    type Ok = bool;
    type Error = RowFailure;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), RowFailure> {
        self.cell(name, value)
    }

    fn end(self) -> Result<bool, RowFailure> {
        Ok(self.has_timestamp)
    }
}

impl<S: RowSink> ser::SerializeMap for CellWriter<'_, S> {
    type Ok = bool;
    type Error = RowFailure;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), RowFailure> {
        self.key.clear();
        if key.serialize(ToKey(&mut self.key)).is_err() {
            self.key = token::key(key).map_err(|error| {
                RowFailure::Schema(SchemaError::Value { column: String::new(), error })
            })?;
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), RowFailure> {
        let key = std::mem::take(&mut self.key);
        let result = self.cell(&key, value);
        self.key = key;
        result
    }

    fn end(self) -> Result<bool, RowFailure> {
        Ok(self.has_timestamp)
    }
}
