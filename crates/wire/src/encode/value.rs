//! Writing one value and telling its type.

use std::fmt;

use serde::Serialize;
use serde::ser;
use streamtable_schema::{
    Clash, MAX_DEPTH, MediaSource, Type, ValueError,
    token::{self, refuse},
};

use super::RowSink;
use crate::cell::{is_reserved_type, write_media, write_timestamp};
use crate::json::{write_f64, write_i64, write_str};

/// Why a value could not be written.
#[derive(Debug)]
pub(super) enum Failure {
    Value(ValueError),
    Clash(Clash),
}

impl Failure {
    fn inside(self, step: impl FnOnce() -> String) -> Self {
        match self {
            Self::Clash(clash) => Self::Clash(clash.inside(&step())),
            value => value,
        }
    }
}

impl From<ValueError> for Failure {
    fn from(error: ValueError) -> Self {
        Self::Value(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(error) => error.fmt(f),
            Self::Clash(clash) => clash.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

impl ser::Error for Failure {
    fn custom<T: fmt::Display>(message: T) -> Self {
        ValueError::Unsupported { what: message.to_string() }.into()
    }
}

/// A serializer that writes a value's JSON and returns its type.
pub(super) struct ToBytes<'a, S> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) sink: &'a mut S,
    /// How many containers may still open.
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

    fn open(self, bracket: u8, variant: Option<&'static str>) -> Result<Open<'a, S>, Failure> {
        let Self { out, sink, room } = self;
        let containers = if variant.is_some() { 2 } else { 1 };
        let room = room.checked_sub(containers).ok_or(ValueError::too_deep())?;
        if let Some(variant) = variant {
            out.push(b'{');
            write_str(out, variant);
            out.push(b':');
        }
        out.push(bracket);
        Ok(Open { out, sink, room, variant })
    }

    fn list(self, variant: Option<&'static str>) -> Result<ListWriter<'a, S>, Failure> {
        let open = self.open(b'[', variant)?;
        Ok(ListWriter { open, element: Type::Unknown, is_empty: true })
    }

    fn fields(self, variant: Option<&'static str>) -> Result<StructWriter<'a, S>, Failure> {
        let open = self.open(b'{', variant)?;
        Ok(StructWriter { open, fields: Vec::new(), key: None, smuggled: None })
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
        let mut fields = self.fields(None)?;
        fields.field(variant, value)?;
        fields.done()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Failure> {
        self.list(None)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Failure> {
        self.list(None)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Failure> {
        self.list(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Failure> {
        self.list(Some(variant))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Failure> {
        self.fields(None)
    }

    fn serialize_struct(
        self,
        name: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStruct, Failure> {
        match name {
            token::JSON_NUMBER | token::JSON_RAW => Ok(StructWriter {
                open: Open { out: self.out, sink: self.sink, room: self.room, variant: None },
                fields: Vec::new(),
                key: None,
                smuggled: Some(Type::Null),
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
    ) -> Result<Self::SerializeStructVariant, Failure> {
        self.fields(Some(variant))
    }
}

/// A container whose opening bracket is written.
struct Open<'a, S> {
    out: &'a mut Vec<u8>,
    sink: &'a mut S,
    room: usize,
    variant: Option<&'static str>,
}

impl<S: RowSink> Open<'_, S> {
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<Type, Failure> {
        value.serialize(ToBytes { out: self.out, sink: self.sink, room: self.room })
    }

    fn close(self, bracket: u8, ty: Type) -> Type {
        self.out.push(bracket);
        match self.variant {
            Some(variant) => {
                self.out.push(b'}');
                Type::fields([(variant, ty)])
            }
            None => ty,
        }
    }
}

pub(super) struct ListWriter<'a, S> {
    open: Open<'a, S>,
    element: Type,
    is_empty: bool,
}

impl<S: RowSink> ListWriter<'_, S> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        if !self.is_empty {
            self.open.out.push(b',');
        }
        self.is_empty = false;
        let in_list = || "[]".to_owned();
        let ty = self.open.value(value).map_err(|e| e.inside(in_list))?;
        if !self.element.includes(&ty) {
            let wider = self.element.unite(&ty);
            self.element = wider.map_err(|clash| Failure::Clash(clash).inside(in_list))?;
        }
        Ok(())
    }

    fn done(self) -> Type {
        self.open.close(b']', Type::list(self.element))
    }
}

pub(super) struct StructWriter<'a, S> {
    open: Open<'a, S>,
    fields: Vec<(String, Type)>,
    key: Option<String>,
    /// The type of what serde_json smuggles, when the struct is only its disguise.
    smuggled: Option<Type>,
}

impl<S: RowSink> StructWriter<'_, S> {
    fn field<T: Serialize + ?Sized>(
        &mut self,
        name: impl Into<String>,
        value: &T,
    ) -> Result<(), Failure> {
        if self.smuggled.is_some() {
            let json = crate::json::parse(&token::key(value)?);
            let json = json.map_err(|e| ValueError::Unsupported { what: e.to_string() })?;
            self.smuggled = Some(self.open.value(&json)?);
            return Ok(());
        }
        let name = name.into();
        if !self.fields.is_empty() {
            self.open.out.push(b',');
        }
        write_str(self.open.out, &name);
        self.open.out.push(b':');
        let start = self.open.out.len();
        let ty = self.open.value(value).map_err(|e| e.inside(|| format!(".{name}")))?;
        if name == "_type" {
            self.refuse_reserved_type(start)?;
        }
        self.fields.push((name, ty));
        Ok(())
    }

    /// Refuses a `_type` that would make readers take this struct for a cell of the protocol's.
    fn refuse_reserved_type(&self, start: usize) -> Result<(), ValueError> {
        let written = &self.open.out[start..];
        match std::str::from_utf8(written).ok().and_then(|text| text.strip_prefix('"')) {
            Some(text) if is_reserved_type(text.trim_end_matches('"')) => {
                Err(ValueError::ReservedType { text: text.trim_end_matches('"').to_owned() })
            }
            _ => Ok(()),
        }
    }

    fn done(self) -> Result<Type, Failure> {
        if let Some(ty) = self.smuggled {
            return Ok(ty);
        }
        let mut names: Vec<&str> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ValueError::DuplicateField { name: twice[0].to_owned() }.into());
        }
        Ok(self.open.close(b'}', Type::fields(self.fields)))
    }
}

impl<S: RowSink> ser::SerializeSeq for ListWriter<'_, S> {
    type Ok = Type;
    type Error = Failure;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.item(value)
    }

    fn end(self) -> Result<Type, Failure> {
        Ok(self.done())
    }
}

impl<S: RowSink> ser::SerializeTuple for ListWriter<'_, S> {
    type Ok = Type;
    type Error = Failure;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.item(value)
    }

    fn end(self) -> Result<Type, Failure> {
        Ok(self.done())
    }
}

impl<S: RowSink> ser::SerializeTupleStruct for ListWriter<'_, S> {
    type Ok = Type;
    type Error = Failure;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.item(value)
    }

    fn end(self) -> Result<Type, Failure> {
        Ok(self.done())
    }
}

impl<S: RowSink> ser::SerializeTupleVariant for ListWriter<'_, S> {
    type Ok = Type;
    type Error = Failure;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.item(value)
    }

    fn end(self) -> Result<Type, Failure> {
        Ok(self.done())
    }
}

impl<S: RowSink> ser::SerializeMap for StructWriter<'_, S> {
    type Ok = Type;
    type Error = Failure;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Failure> {
        self.key = Some(token::key(key)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        let key = self.key.take().ok_or(ValueError::BadKey)?;
        self.field(key, value)
    }

    fn end(self) -> Result<Type, Failure> {
        self.done()
    }
}

impl<S: RowSink> ser::SerializeStruct for StructWriter<'_, S> {
    type Ok = Type;
    type Error = Failure;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Failure> {
        self.field(name, value)
    }

    fn end(self) -> Result<Type, Failure> {
        self.done()
    }
}

impl<S: RowSink> ser::SerializeStructVariant for StructWriter<'_, S> {
    type Ok = Type;
    type Error = Failure;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Failure> {
        self.field(name, value)
    }

    fn end(self) -> Result<Type, Failure> {
        self.done()
    }
}

/// A serializer for the keys of a map that are texts, which nearly all are.
pub(super) struct ToKey<'a>(pub(super) &'a mut String);

/// The key is no text.
#[derive(Debug, thiserror::Error)]
#[error("the key is no text")]
pub(super) struct NotText;

impl ser::Error for NotText {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl ser::Serializer for ToKey<'_> {
    type Ok = ();
    type Error = NotText;
    type SerializeSeq = ser::Impossible<(), NotText>;
    type SerializeTuple = ser::Impossible<(), NotText>;
    type SerializeTupleStruct = ser::Impossible<(), NotText>;
    type SerializeTupleVariant = ser::Impossible<(), NotText>;
    type SerializeMap = ser::Impossible<(), NotText>;
    type SerializeStruct = ser::Impossible<(), NotText>;
    type SerializeStructVariant = ser::Impossible<(), NotText>;

    fn serialize_str(self, key: &str) -> Result<(), NotText> {
        self.0.push_str(key);
        Ok(())
    }

    refuse! {
        NotText;
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
        serialize_bytes(&[u8]);
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

    fn serialize_some<T: Serialize + ?Sized>(self, key: &T) -> Result<(), NotText> {
        key.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        key: &T,
    ) -> Result<(), NotText> {
        key.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), NotText> {
        Err(NotText)
    }
}
