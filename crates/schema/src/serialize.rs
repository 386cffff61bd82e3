//! Conversion of anything that implements `serde::Serialize` to values.

mod compound;
mod json;
#[cfg(test)]
mod tests;
mod to_bytes;

use std::fmt;

use serde::Serialize;
use serde::ser;

use crate::media::{MEDIA_TOKEN, unpack};
use crate::time::TIMESTAMP_TOKEN;
use crate::value::MAX_DEPTH;
use crate::{Media, Row, SchemaError, Timestamp, Type, Value, ValueError};
use compound::{ToList, ToStruct};
use to_bytes::ToBytes;

/// The struct name and key that serde_json uses for numbers if any crate in the program enables its
/// feature `arbitrary_precision`.
pub const JSON_NUMBER: &str = "$serde_json::private::Number";

/// The struct name and key that serde_json uses for raw JSON text.
pub const JSON_RAW: &str = "$serde_json::private::RawValue";

/// Makes a row from a value that serializes as a struct or a map.
pub(crate) fn row<T: Serialize + ?Sized>(value: &T) -> Result<Row, SchemaError> {
    row_within(value, MAX_DEPTH)
}

/// Makes a cell value from any value that serializes.
pub(crate) fn value<T: Serialize + ?Sized>(value: &T) -> Result<Value, ValueError> {
    value.serialize(ToValue { room: MAX_DEPTH }).map_err(|failure| failure.error)
}

/// Maximum depth of a row that is only returned to the caller: far above the limit of a table, and
/// still safe for a thread's stack.
const MAX_RETURNED_DEPTH: usize = 4 * MAX_DEPTH;

/// Makes a row to return to the caller, even if it nests too deeply for a table.
#[doc(hidden)]
pub fn row_to_hand_back<T: Serialize + ?Sized>(value: &T) -> Option<Row> {
    row_within(value, MAX_RETURNED_DEPTH).ok()
}

fn row_within<T: Serialize + ?Sized>(value: &T, depth: usize) -> Result<Row, SchemaError> {
    match value.serialize(ToValue { room: depth + 1 }) {
        Ok(Value::Struct(row)) => Ok(row),
        Ok(other) => Err(SchemaError::NotARow { found: Type::of(&other) }),
        Err(Failure { column, error }) => {
            Err(SchemaError::Value { column: column.unwrap_or_default(), error })
        }
    }
}

/// Reads a [`Media`] from the data that follows its token.
#[doc(hidden)]
pub fn media_from_token<T: Serialize + ?Sized>(value: &T) -> Result<Media, ValueError> {
    let packed = value.serialize(ToBytes).map_err(|e| e.error)?;
    unpack(&packed).ok_or_else(|| ValueError::Unsupported { what: "a damaged media value".into() })
}

/// Reads a [`Timestamp`] from the data that follows its token.
#[doc(hidden)]
pub fn timestamp_from_token<T: Serialize + ?Sized>(value: &T) -> Result<Timestamp, ValueError> {
    match value.serialize(ToValue { room: 0 }).map_err(|e| e.error)? {
        Value::Int(micros) if i64::try_from(micros).is_ok() => {
            Ok(Timestamp::from_micros(micros as i64))
        }
        _ => Err(ValueError::Unsupported { what: "a damaged timestamp".into() }),
    }
}

/// Converts a map key to a string: strings are unchanged, numbers and booleans are formatted.
#[doc(hidden)]
pub fn key_from_serialize<T: Serialize + ?Sized>(key: &T) -> Result<String, ValueError> {
    match key.serialize(ToValue { room: 0 }).map_err(|e| e.error) {
        Ok(Value::String(s)) => Ok(s),
        Ok(Value::Int(n)) => Ok(n.to_string()),
        Ok(Value::Bool(b)) => Ok(b.to_string()),
        // With a fraction, as JSON and Python write it.
        Ok(Value::Float(x)) if x.is_finite() => Ok(format!("{x:?}")),
        Err(error @ ValueError::Unsupported { .. }) => Err(error),
        _ => Err(ValueError::BadKey),
    }
}

/// A serializer that makes a [`Value`]. `room` is the number of further nesting levels allowed.
#[derive(Clone, Copy)]
struct ToValue {
    room: usize,
}

/// The reason why a value could not be made, and the field of the outermost struct.
#[derive(Debug)]
struct Failure {
    column: Option<String>,
    error: ValueError,
}

impl Failure {
    fn unsupported(what: &str) -> Self {
        Self::from(ValueError::Unsupported { what: what.into() })
    }

    /// Records the field. The outermost struct calls this last, so the result is the column.
    fn inside(self, field: impl Into<String>) -> Self {
        Self { column: Some(field.into()), ..self }
    }
}

impl From<ValueError> for Failure {
    fn from(error: ValueError) -> Self {
        Self { column: None, error }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Failure {}

impl ser::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        ValueError::Unsupported { what: message.to_string() }.into()
    }
}

impl ToValue {
    fn deeper(self) -> Result<Self, Failure> {
        match self.room.checked_sub(1) {
            Some(room) => Ok(Self { room }),
            None => Err(ValueError::too_deep().into()),
        }
    }

    fn items(self, variant: Option<&'static str>) -> Result<ToList, Failure> {
        let this = if variant.is_some() { self.deeper()? } else { self };
        Ok(ToList::new(variant, this.deeper()?))
    }

    fn fields(self, variant: Option<&'static str>) -> Result<ToStruct, Failure> {
        let this = if variant.is_some() { self.deeper()? } else { self };
        Ok(ToStruct::new(variant, this.deeper()?))
    }
}

macro_rules! values {
    ($($method:ident: $type:ty)*) => {$(
        fn $method(self, v: $type) -> Result<Value, Failure> {
            Ok(v.into())
        }
    )*};
}

impl ser::Serializer for ToValue {
    type Ok = Value;
    type Error = Failure;
    type SerializeSeq = ToList;
    type SerializeTuple = ToList;
    type SerializeTupleStruct = ToList;
    type SerializeTupleVariant = ToList;
    type SerializeMap = ToStruct;
    type SerializeStruct = ToStruct;
    type SerializeStructVariant = ToStruct;

    values! {
        serialize_bool: bool
        serialize_i8: i8 serialize_i16: i16 serialize_i32: i32 serialize_i64: i64
        serialize_i128: i128
        serialize_u8: u8 serialize_u16: u16 serialize_u32: u32 serialize_u64: u64
        serialize_f32: f32 serialize_f64: f64
        serialize_char: char serialize_str: &str
    }

    fn serialize_u128(self, v: u128) -> Result<Value, Failure> {
        let n = i128::try_from(v).map_err(|_| ValueError::IntegerRange { value: v.to_string() })?;
        Ok(Value::Int(n))
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<Value, Failure> {
        Err(ValueError::BareBytes.into())
    }

    fn serialize_none(self) -> Result<Value, Failure> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Failure> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, Failure> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, Failure> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, Failure> {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Value, Failure> {
        match name {
            TIMESTAMP_TOKEN => Ok(timestamp_from_token(value)?.into()),
            MEDIA_TOKEN => Ok(media_from_token(value)?.into()),
            _ => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Failure> {
        let value = value.serialize(self.deeper()?).map_err(|e| e.inside(variant))?;
        Ok(Row::new().with(variant, value).into())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<ToList, Failure> {
        self.items(None)
    }

    fn serialize_tuple(self, _: usize) -> Result<ToList, Failure> {
        self.items(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<ToList, Failure> {
        self.items(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<ToList, Failure> {
        self.items(Some(variant))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<ToStruct, Failure> {
        self.fields(None)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<ToStruct, Failure> {
        match name {
            // serde_json's wrappers are not structs, so they add no nesting level.
            JSON_NUMBER | JSON_RAW => Ok(ToStruct::smuggled(self)),
            _ => self.fields(None),
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<ToStruct, Failure> {
        self.fields(Some(variant))
    }
}
