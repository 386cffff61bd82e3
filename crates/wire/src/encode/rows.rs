//! Serializer for a sequence of rows.

use std::fmt;

use serde::Serialize;
use serde::ser::{self, Impossible};
use streamtable_schema::token::refuse;

use super::TakeRow;

/// The reason why the iteration over a sequence stopped early.
#[derive(Debug)]
pub(super) enum RowsFailure<Stop> {
    /// The callback returned an error.
    Stop(Stop),
    /// The value is not a sequence.
    OneRow,
}

impl<Stop> fmt::Display for RowsFailure<Stop> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stop(_) => "stopped",
            Self::OneRow => "not a sequence",
        })
    }
}

impl<Stop: fmt::Debug> std::error::Error for RowsFailure<Stop> {}

impl<Stop: fmt::Debug> ser::Error for RowsFailure<Stop> {
    /// If a sequence fails before its first element, it is handled as one row, which then fails
    /// with the error.
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::OneRow
    }
}

/// A serializer that passes a sequence to the callback row by row.
pub(super) struct ToRows<'a, R> {
    pub(super) take: &'a mut R,
}

impl<'a, R: TakeRow> ser::Serializer for ToRows<'a, R> {
    type Ok = ();
    type Error = RowsFailure<R::Stop>;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Impossible<(), Self::Error>;
    type SerializeTupleVariant = Impossible<(), Self::Error>;
    type SerializeMap = Impossible<(), Self::Error>;
    type SerializeStruct = Impossible<(), Self::Error>;
    type SerializeStructVariant = Impossible<(), Self::Error>;

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Self::Error> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Self::Error> {
        Ok(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, rows: &T) -> Result<(), Self::Error> {
        rows.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        rows: &T,
    ) -> Result<(), Self::Error> {
        rows.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Self::Error> {
        Err(RowsFailure::OneRow)
    }

    refuse! {
        RowsFailure::OneRow;
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
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant;
        serialize_map(Option<usize>) -> SerializeMap;
        serialize_struct(&'static str, usize) -> SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant;
    }
}

impl<R: TakeRow> ser::SerializeSeq for ToRows<'_, R> {
    type Ok = ();
    type Error = RowsFailure<R::Stop>;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, row: &T) -> Result<(), Self::Error> {
        self.take.take(row).map_err(RowsFailure::Stop)
    }

    fn end(self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl<R: TakeRow> ser::SerializeTuple for ToRows<'_, R> {
    type Ok = ();
    type Error = RowsFailure<R::Stop>;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, row: &T) -> Result<(), Self::Error> {
        self.take.take(row).map_err(RowsFailure::Stop)
    }

    fn end(self) -> Result<(), Self::Error> {
        Ok(())
    }
}
