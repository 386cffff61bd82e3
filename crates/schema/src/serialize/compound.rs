//! Serializers for lists and structs.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser;

use super::json;
use super::{Failure, JSON_NUMBER, ToValue, key_from_serialize};
use crate::value::number_text;
use crate::{Row, Value};

/// A list under construction, alone or inside an enum variant.
pub(super) struct ToList {
    variant: Option<&'static str>,
    items: Vec<Value>,
    inner: ToValue,
}

impl ToList {
    pub(super) const fn new(variant: Option<&'static str>, inner: ToValue) -> Self {
        Self { variant, items: Vec::new(), inner }
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        let item = value.serialize(self.inner).map_err(|e| match self.variant {
            Some(variant) => e.inside(variant),
            None => e,
        })?;
        self.items.push(item);
        Ok(())
    }

    fn done(self) -> Value {
        named(self.variant, Value::List(self.items))
    }
}

/// A struct or map under construction, alone or inside an enum variant.
pub(super) struct ToStruct {
    variant: Option<&'static str>,
    row: Row,
    key: Option<String>,
    /// The value, if the struct is a wrapper of serde_json.
    smuggled: Option<Value>,
    inner: ToValue,
}

impl ToStruct {
    pub(super) const fn new(variant: Option<&'static str>, inner: ToValue) -> Self {
        Self { variant, row: Row::new(), key: None, smuggled: None, inner }
    }

    pub(super) fn smuggled(inner: ToValue) -> Self {
        Self { smuggled: Some(Value::Null), ..Self::new(None, inner) }
    }

    fn push<T: Serialize + ?Sized>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: &T,
    ) -> Result<(), Failure> {
        let name = name.into();
        if self.smuggled.is_some() {
            let text = key_from_serialize(value)?;
            self.smuggled = Some(self.unpack(&name, &text)?);
            return Ok(());
        }
        match value.serialize(self.inner) {
            Ok(value) => self.row.push(name, value),
            Err(e) => return Err(e.inside(self.variant.map_or(name, Cow::Borrowed))),
        }
        Ok(())
    }

    fn unpack(&self, token: &str, text: &str) -> Result<Value, Failure> {
        if token == JSON_NUMBER {
            return number_text(text).ok_or_else(|| Failure::unsupported("a damaged number"));
        }
        let parsed = json::parse(text).map_err(<Failure as ser::Error>::custom)?;
        // Serializes the parsed value again to check its depth.
        parsed.serialize(self.inner)
    }

    fn done(self) -> Value {
        named(self.variant, self.smuggled.unwrap_or(Value::Struct(self.row)))
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
