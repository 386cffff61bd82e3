//! The serialized form of types: `"int"`, `{"list": "float"}`, `{"struct": {"a": "int"}}`,
//! `{"union": ["null", "int"]}`, `{"media": "image"}`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::Type;
use crate::MediaKind;

/// The types without parameters, by name.
const SCALARS: [(&str, Type); 7] = [
    ("unknown", Type::Unknown),
    ("null", Type::Null),
    ("bool", Type::Bool),
    ("int", Type::Int),
    ("float", Type::Float),
    ("string", Type::String),
    ("timestamp", Type::Timestamp),
];

impl Serialize for Type {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some((name, _)) = SCALARS.iter().find(|(_, ty)| ty == self) {
            return serializer.serialize_str(name);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Media(kind) => map.serialize_entry("media", &kind.to_string())?,
            Self::List(element) => map.serialize_entry("list", element)?,
            Self::Struct(fields) => map.serialize_entry("struct", &fields.by_name)?,
            _ => map.serialize_entry("union", self.members())?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Type {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = Type;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a type, such as \"int\" or {\"list\": \"int\"}")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Type, E> {
        let scalar = SCALARS.iter().find(|(scalar, _)| *scalar == name);
        let names = "a type without parameters";
        scalar
            .map(|(_, ty)| ty.clone())
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(name), &names))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Type, A::Error> {
        let Some(key) = map.next_key::<String>()? else {
            return Err(de::Error::invalid_length(0, &self));
        };
        let ty = match key.as_str() {
            "media" => {
                let name: String = map.next_value()?;
                let kind = MediaKind::ALL.into_iter().find(|kind| kind.to_string() == name);
                Type::Media(kind.ok_or_else(|| {
                    de::Error::invalid_value(de::Unexpected::Str(&name), &"a kind of media")
                })?)
            }
            "list" => Type::list(map.next_value()?),
            "struct" => Type::fields(map.next_value::<BTreeMap<String, Type>>()?),
            // United again, so that the members are flat, sorted and distinct.
            "union" => {
                let members: Vec<Type> = map.next_value()?;
                members.iter().fold(Type::Unknown, |united, member| united.unite(member))
            }
            other => {
                return Err(de::Error::unknown_field(other, &["media", "list", "struct", "union"]));
            }
        };
        match map.next_key::<String>()? {
            None => Ok(ty),
            Some(_) => Err(de::Error::invalid_length(2, &"a type with one entry")),
        }
    }
}
