//! Serializer for the bytes that follow the token of a media value.

use bytes::Bytes;
use serde::Serialize;
use serde::ser::{self, Impossible};

use super::Failure;

/// A serializer that accepts only a byte string.
pub(super) struct ToBytes;

/// Writes the methods of a `serde::Serializer` that all fail in the same way.
///
/// Each method is given with its argument types; methods of compound kinds end in `-> Kind`.
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
        Failure::unsupported("a media value that is not bytes");
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
