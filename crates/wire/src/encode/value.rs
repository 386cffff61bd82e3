//! Serializer for one value, which also returns its type.

use std::fmt;

use serde::Serialize;
use serde::ser;
use streamtable_schema::{MAX_DEPTH, MediaSource, Type, ValueError, token};

use super::RowSink;
use super::container::{ListWriter, StructWriter};
use crate::cell::{write_media, write_timestamp};
use crate::json::{write_f64, write_i64, write_str};

/// The reason why a value could not be written.
#[derive(Debug)]
pub(super) struct Failure(pub(super) ValueError);

impl From<ValueError> for Failure {
    fn from(error: ValueError) -> Self {
        Self(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {}

impl ser::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(ValueError::Unsupported { what: message.to_string() })
    }
}

/// A serializer that writes a value's JSON and returns its type.
pub(super) struct ToBytes<'a, S> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) sink: &'a mut S,
    /// The number of further nesting levels allowed.
    pub(super) room: usize,
}

impl<'a, S: RowSink> ToBytes<'a, S> {
    pub(super) fn cell(out: &'a mut Vec<u8>, sink: &'a mut S) -> Self {
        Self { out, sink, room: MAX_DEPTH }
    }

    fn integer<T: TryInto<i64> + Copy + fmt::Display>(self, n: T) -> Result<Type, Failure> {
        let Ok(n) = n.try_into() else {
            return Err(ValueError::IntegerRange { value: n.to_string() }.into());
        };
        write_i64(self.out, n);
        Ok(Type::Int)
    }

    fn text(self, text: &str) -> Result<Type, Failure> {
        write_str(self.out, text);
        Ok(Type::String)
    }

    fn null(self) -> Result<Type, Failure> {
        self.out.extend_from_slice(b"null");
        Ok(Type::Null)
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty)*) => {$(
        fn $method(self, n: $type) -> Result<Type, Failure> {
            self.integer(n)
        }
    )*};
}

impl<'a, S: RowSink> ser::Serializer for ToBytes<'a, S> {
    type Ok = Type;
    type Error = Failure;
    type SerializeSeq = ListWriter<'a, S>;
    type SerializeTuple = ListWriter<'a, S>;
    type SerializeTupleStruct = ListWriter<'a, S>;
    type SerializeTupleVariant = ListWriter<'a, S>;
    type SerializeMap = StructWriter<'a, S>;
    type SerializeStruct = StructWriter<'a, S>;
    type SerializeStructVariant = StructWriter<'a, S>;

    integers! {
        serialize_i8: i8 serialize_i16: i16 serialize_i32: i32 serialize_i64: i64
        serialize_u8: u8 serialize_u16: u16 serialize_u32: u32 serialize_u64: u64
        serialize_i128: i128 serialize_u128: u128
    }

    fn serialize_bool(self, b: bool) -> Result<Type, Failure> {
        self.out.extend_from_slice(if b { b"true" } else { b"false" });
        Ok(Type::Bool)
    }

    fn serialize_f32(self, x: f32) -> Result<Type, Failure> {
        self.serialize_f64(x.into())
    }

    fn serialize_f64(self, x: f64) -> Result<Type, Failure> {
        write_f64(self.out, x);
        Ok(Type::Float)
    }

    fn serialize_char(self, c: char) -> Result<Type, Failure> {
        self.text(c.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<Type, Failure> {
        self.text(text)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<Type, Failure> {
        Err(ValueError::BareBytes.into())
    }

    fn serialize_none(self) -> Result<Type, Failure> {
        self.null()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Type, Failure> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Type, Failure> {
        self.null()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Type, Failure> {
        self.null()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Type, Failure> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Type, Failure> {
        match name {
            token::TIMESTAMP => {
                write_timestamp(self.out, token::timestamp(value)?);
                Ok(Type::Timestamp)
            }
            token::MEDIA => {
                let media = token::media(value)?;
                if let MediaSource::Stored(file) = media.source() {
                    write_media(self.out, &media, file);
                } else {
                    let (media, file) = self.sink.media(&media).map_err(ValueError::from)?;
                    write_media(self.out, &media, &file);
                }
                Ok(Type::Media(media.kind()))
            }
            _ => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Type, Failure> {
        let mut fields = StructWriter::new(self, None)?;
        fields.field(variant, value)?;
        fields.done()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Failure> {
        ListWriter::new(self, None)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Failure> {
        ListWriter::new(self, None)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Failure> {
        ListWriter::new(self, None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Failure> {
        ListWriter::new(self, Some(variant))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Failure> {
        StructWriter::new(self, None)
    }

    fn serialize_struct(
        self,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStruct, Failure> {
        match name {
            token::JSON_NUMBER | token::JSON_RAW => Ok(StructWriter::smuggled(self)),
            _ => StructWriter::new(self, None),
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Failure> {
        StructWriter::new(self, Some(variant))
    }
}
