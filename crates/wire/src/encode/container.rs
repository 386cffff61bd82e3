//! Serializers for lists and structs.

use serde::Serialize;
use serde::ser;
use streamtable_schema::{Type, Value, ValueError, token};

use super::RowSink;
use super::value::{Failure, ToBytes};
use crate::cell::is_reserved_type;
use crate::json::{parse, write_str};
use crate::unite::Uniting;

/// A container whose opening bracket has been written.
struct Open<'a, S> {
    out: &'a mut Vec<u8>,
    sink: &'a mut S,
    room: usize,
    /// The enum variant that contains the container; it is written as a struct with one field.
    variant: Option<&'static str>,
}

impl<'a, S: RowSink> Open<'a, S> {
    fn new(
        to: ToBytes<'a, S>,
        bracket: u8,
        variant: Option<&'static str>,
    ) -> Result<Self, Failure> {
        let ToBytes { out, sink, room } = to;
        let containers = if variant.is_some() { 2 } else { 1 };
        let room = room.checked_sub(containers).ok_or(ValueError::too_deep())?;
        if let Some(variant) = variant {
            out.push(b'{');
            write_str(out, variant);
            out.push(b':');
        }
        out.push(bracket);
        Ok(Self { out, sink, room, variant })
    }

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

/// A list that is being written.
pub(super) struct ListWriter<'a, S> {
    open: Open<'a, S>,
    element: Uniting,
    is_empty: bool,
}

impl<'a, S: RowSink> ListWriter<'a, S> {
    pub(super) fn new(to: ToBytes<'a, S>, variant: Option<&'static str>) -> Result<Self, Failure> {
        let open = Open::new(to, b'[', variant)?;
        Ok(Self { open, element: Uniting::default(), is_empty: true })
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        if !self.is_empty {
            self.open.out.push(b',');
        }
        self.is_empty = false;
        self.element.push(self.open.value(value)?);
        Ok(())
    }

    fn done(self) -> Type {
        self.open.close(b']', Type::list(self.element.finish()))
    }
}

/// A struct that is being written.
pub(super) struct StructWriter<'a, S> {
    open: Open<'a, S>,
    fields: Vec<(String, Type)>,
    key: Option<String>,
    /// The type of the value, if the struct is a wrapper of serde_json.
    smuggled: Option<Type>,
}

impl<'a, S: RowSink> StructWriter<'a, S> {
    pub(super) fn new(to: ToBytes<'a, S>, variant: Option<&'static str>) -> Result<Self, Failure> {
        let open = Open::new(to, b'{', variant)?;
        Ok(Self { open, fields: Vec::new(), key: None, smuggled: None })
    }

    /// Makes a writer for a number or raw JSON text that serde_json wraps in a struct of one field.
    pub(super) fn smuggled(to: ToBytes<'a, S>) -> Self {
        let open = Open { out: to.out, sink: to.sink, room: to.room, variant: None };
        Self { open, fields: Vec::new(), key: None, smuggled: Some(Type::Null) }
    }

    pub(super) fn field<T: Serialize + ?Sized>(
        &mut self,
        name: impl Into<String>,
        value: &T,
    ) -> Result<(), Failure> {
        if self.smuggled.is_some() {
            let json = parse(&token::key(value)?);
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
        let ty = self.open.value(value)?;
        if name == "_type" {
            refuse_reserved_type(&self.open.out[start..])?;
        }
        self.fields.push((name, ty));
        Ok(())
    }

    pub(super) fn done(self) -> Result<Type, Failure> {
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

/// Refuses a `_type` that readers would interpret as a cell of the protocol.
fn refuse_reserved_type(written: &[u8]) -> Result<(), ValueError> {
    if written.first() != Some(&b'"') {
        return Ok(());
    }
    match std::str::from_utf8(written).ok().and_then(|text| parse(text).ok()) {
        Some(Value::String(text)) if is_reserved_type(&text) => {
            Err(ValueError::ReservedType { text })
        }
        _ => Ok(()),
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
