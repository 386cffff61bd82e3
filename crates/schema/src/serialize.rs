//! From anything that implements `serde::Serialize` to values.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::ser::{self, Impossible};

use crate::media::{MEDIA_TOKEN, unpack};
use crate::time::TIMESTAMP_TOKEN;
use crate::value::MAX_DEPTH;
use crate::{Row, SchemaError, Timestamp, Type, Value, ValueError};

/// The struct name and key under which serde_json smuggles numbers when its feature
/// `arbitrary_precision` is on anywhere in the program.
pub const JSON_NUMBER: &str = "$serde_json::private::Number";

/// The struct name and key under which serde_json smuggles text that is JSON already.
pub const JSON_RAW: &str = "$serde_json::private::RawValue";

/// Makes a row of a value that serializes as a struct or map.
pub(crate) fn row<T: Serialize + ?Sized>(value: &T) -> Result<Row, SchemaError> {
    match value.serialize(ToValue { room: MAX_DEPTH + 1 }) {
        Ok(Value::Struct(row)) => Ok(row),
        Ok(other) => Err(SchemaError::NotARow { found: Type::of_any(&other) }),
        Err(Failure { column, error }) => {
            Err(SchemaError::Value { column: column.unwrap_or_default(), error })
        }
    }
}

/// Reads a [`Media`](crate::Media) back from what follows its token.
#[doc(hidden)]
pub fn media_from_token<T: Serialize + ?Sized>(value: &T) -> Result<crate::Media, ValueError> {
    let packed = value.serialize(ToBytes).map_err(|e| e.error)?;
    unpack(&packed).ok_or_else(|| ValueError::Unsupported { what: "a damaged media value".into() })
}

/// Reads a [`Timestamp`] back from what follows its token.
#[doc(hidden)]
pub fn timestamp_from_token<T: Serialize + ?Sized>(value: &T) -> Result<Timestamp, ValueError> {
    match value.serialize(ToValue { room: 0 }).map_err(|e| e.error)? {
        Value::Int(micros) if i64::try_from(micros).is_ok() => {
            Ok(Timestamp::from_micros(micros as i64))
        }
        _ => Err(ValueError::Unsupported { what: "a damaged timestamp".into() }),
    }
}

/// Makes the text that stands for a map's key: texts as they are, numbers and booleans spelled.
#[doc(hidden)]
pub fn key_from_serialize<T: Serialize + ?Sized>(key: &T) -> Result<String, ValueError> {
    match key.serialize(ToValue { room: 0 }).map_err(|e| e.error)? {
        Value::String(s) => Ok(s),
        Value::Int(n) => Ok(n.to_string()),
        Value::Bool(b) => Ok(b.to_string()),
        _ => Err(ValueError::BadKey),
    }
}

/// A serializer that makes a [`Value`]. `room` is how many containers may still open.
#[derive(Clone, Copy)]
struct ToValue {
    room: usize,
}

/// Why a value could not be made, and in which field of the outermost struct.
#[derive(Debug)]
struct Failure {
    column: Option<String>,
    error: ValueError,
}

impl Failure {
    fn unsupported(what: &str) -> Self {
        Self::from(ValueError::Unsupported { what: what.into() })
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
            None => Err(ValueError::TooDeep { limit: MAX_DEPTH }.into()),
        }
    }

    fn items(self, variant: Option<&'static str>) -> Result<ToList, Failure> {
        let this = if variant.is_some() { self.deeper()? } else { self };
        Ok(ToList { variant, items: Vec::new(), inner: this.deeper()? })
    }

    fn fields(self, variant: Option<&'static str>) -> Result<ToStruct, Failure> {
        let this = if variant.is_some() { self.deeper()? } else { self };
        Ok(ToStruct { variant, row: Row::new(), key: None, json: None, inner: this.deeper()? })
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
        let value = value.serialize(self.deeper()?)?;
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
            // What serde_json smuggles is no struct, so it takes no depth.
            JSON_NUMBER | JSON_RAW => Ok(ToStruct {
                variant: None,
                row: Row::new(),
                key: None,
                json: Some(Value::Null),
                inner: self,
            }),
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

struct ToList {
    variant: Option<&'static str>,
    items: Vec<Value>,
    inner: ToValue,
}

impl ToList {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.items.push(value.serialize(self.inner)?);
        Ok(())
    }

    fn done(self) -> Value {
        named(self.variant, Value::List(self.items))
    }
}

struct ToStruct {
    variant: Option<&'static str>,
    row: Row,
    key: Option<String>,
    /// The value, when the struct is one that serde_json smuggles.
    json: Option<Value>,
    inner: ToValue,
}

impl ToStruct {
    fn push<T: Serialize + ?Sized>(
        &mut self,
        name: impl Into<std::borrow::Cow<'static, str>>,
        value: &T,
    ) -> Result<(), Failure> {
        let name = name.into();
        match value.serialize(self.inner) {
            Ok(Value::String(text)) if self.json.is_some() => {
                let parsed: Result<serde_json::Value, _> = serde_json::from_str(&text);
                let parsed = parsed.map_err(<Failure as ser::Error>::custom)?;
                self.json = Some(parsed.into());
            }
            Ok(value) => self.row.push(name, value),
            // The outermost struct speaks last, so what stays is the column.
            Err(e) => return Err(Failure { column: Some(name.into_owned()), ..e }),
        }
        Ok(())
    }

    fn done(self) -> Value {
        named(self.variant, self.json.unwrap_or(Value::Struct(self.row)))
    }
}

fn named(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        Some(variant) => Row::new().with(variant, value).into(),
        None => value,
    }
}

impl ser::SerializeSeq for ToList {
    type Ok = Value;
    type Error = Failure;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.push(value)
    }

    fn end(self) -> Result<Value, Failure> {
        Ok(self.done())
    }
}

impl ser::SerializeTuple for ToList {
    type Ok = Value;
    type Error = Failure;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.push(value)
    }

    fn end(self) -> Result<Value, Failure> {
        Ok(self.done())
    }
}

impl ser::SerializeTupleStruct for ToList {
    type Ok = Value;
    type Error = Failure;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.push(value)
    }

    fn end(self) -> Result<Value, Failure> {
        Ok(self.done())
    }
}

impl ser::SerializeTupleVariant for ToList {
    type Ok = Value;
    type Error = Failure;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.push(value)
    }

    fn end(self) -> Result<Value, Failure> {
        Ok(self.done())
    }
}

impl ser::SerializeMap for ToStruct {
    type Ok = Value;
    type Error = Failure;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Failure> {
        self.key = Some(key_from_serialize(key)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        let key = self.key.take().ok_or_else(|| Failure::unsupported("a value without its key"))?;
        self.push(key, value)
    }

    fn end(self) -> Result<Value, Failure> {
        Ok(self.done())
    }
}

impl ser::SerializeStruct for ToStruct {
    type Ok = Value;
    type Error = Failure;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Failure> {
        self.push(name, value)
    }

    fn end(self) -> Result<Value, Failure> {
        Ok(self.done())
    }
}

impl ser::SerializeStructVariant for ToStruct {
    type Ok = Value;
    type Error = Failure;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Failure> {
        self.push(name, value)
    }

    fn end(self) -> Result<Value, Failure> {
        Ok(self.done())
    }
}

/// A serializer that takes a byte string and nothing else.
struct ToBytes;

/// Writes the methods of a `serde::Serializer` that all fail in the same way.
///
/// Each method is named with its arguments' types; those of compound kinds end in `-> Kind`.
#[doc(hidden)]
#[macro_export]
macro_rules! __refuse {
    ($error:expr; $($method:ident($($type:ty),*) $(-> $compound:ident)?;)*) => {$(
        fn $method(
            self, $(_: $type),*
        ) -> Result<$crate::__refuse!(@ok $($compound)?), Self::Error> {
            Err($error)
        }
    )*};
    (@ok) => { Self::Ok };
    (@ok $compound:ident) => { Self::$compound };
}

impl ser::Serializer for ToBytes {
    type Ok = Bytes;
    type Error = Failure;
    type SerializeSeq = Impossible<Bytes, Failure>;
    type SerializeTuple = Impossible<Bytes, Failure>;
    type SerializeTupleStruct = Impossible<Bytes, Failure>;
    type SerializeTupleVariant = Impossible<Bytes, Failure>;
    type SerializeMap = Impossible<Bytes, Failure>;
    type SerializeStruct = Impossible<Bytes, Failure>;
    type SerializeStructVariant = Impossible<Bytes, Failure>;

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Bytes, Failure> {
        Ok(Bytes::copy_from_slice(bytes))
    }

    __refuse! {
        Failure::unsupported("a media value that is no bytes");
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
        serialize_seq(Option<usize>) -> SerializeSeq;
        serialize_tuple(usize) -> SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant;
        serialize_map(Option<usize>) -> SerializeMap;
        serialize_struct(&'static str, usize) -> SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Bytes, Failure> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Bytes, Failure> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<Bytes, Failure> {
        value.serialize(self)
    }
}
