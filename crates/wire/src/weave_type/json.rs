//! JSON whose objects keep the order of their keys.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use streamtable_schema::{Value, token};

/// A JSON value whose objects keep the order of their keys, whichever features serde_json has.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A signed 64-bit integer.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Self>),
    /// An object.
    Object(Vec<(String, Self)>),
}

impl Json {
    /// Returns the string, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// Converts the output of [`json::parse`](crate::json::parse), which contains no other kinds.
    pub(super) fn from_value(value: Value) -> Self {
        match value {
            Value::Null | Value::Timestamp(_) | Value::Media(_) => Self::Null,
            Value::Bool(b) => Self::Bool(b),
            Value::Int(n) => i64::try_from(n).map_or(Self::Float(n as f64), Self::Int),
            Value::Float(x) => Self::Float(x),
            Value::String(s) => Self::String(s),
            Value::List(items) => Self::Array(items.into_iter().map(Self::from_value).collect()),
            Value::Struct(row) => {
                let fields = row.into_iter();
                Self::Object(
                    fields.map(|(name, v)| (name.into_owned(), Self::from_value(v))).collect(),
                )
            }
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(b) => serializer.serialize_bool(*b),
            Self::Int(n) => serializer.serialize_i64(*n),
            Self::Float(x) => serializer.serialize_f64(*x),
            Self::String(s) => serializer.serialize_str(s),
            Self::Array(items) => items.serialize(serializer),
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, json) in fields {
                    map.serialize_entry(name, json)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Json, E> {
        Ok(Json::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Json, E> {
        Ok(Json::Int(n))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Json, E> {
        Ok(i64::try_from(n).map_or(Json::Float(n as f64), Json::Int))
    }

    fn visit_f64<E>(self, x: f64) -> Result<Json, E> {
        Ok(Json::Float(x))
    }

    fn visit_str<E>(self, s: &str) -> Result<Json, E> {
        Ok(Json::String(s.to_owned()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut fields: Vec<(String, Json)> = Vec::new();
        while let Some(entry) = map.next_entry()? {
            fields.push(entry);
        }
        Ok(number_from_text(fields))
    }
}

/// Restores a number from the object with one private key that serde_json makes of it if any crate
/// in the program enables the feature `arbitrary_precision`.
fn number_from_text(fields: Vec<(String, Json)>) -> Json {
    if let [(key, Json::String(digits))] = &fields[..]
        && key == token::JSON_NUMBER
    {
        match (digits.parse(), digits.parse()) {
            (Ok(n), _) => return Json::Int(n),
            (_, Ok(x)) => return Json::Float(x),
            _ => {}
        }
    }
    Json::Object(fields)
}
