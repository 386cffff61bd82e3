//! Weave's types, as they are written on the wire and stored (protocol notes §10).

use std::fmt;
use std::str::FromStr;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use streamtable_schema::Type;

use crate::cell;
use crate::json::JsonError;

/// A type in Weave's grammar: a bare name, or an object whose `type` names it.
///
/// Keys keep their order, so that what is read is written back the same.
///
/// ```
/// use streamtable_wire::WeaveType;
///
/// let ty: WeaveType = r#"{"type":"list","objectType":"int"}"#.parse()?;
/// assert_eq!(ty, WeaveType::list(WeaveType::basic("int")));
/// assert_eq!(ty.to_type().map(|ty| ty.to_string()), Some("list<int>".into()));
/// # Ok::<(), streamtable_wire::json::JsonError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum WeaveType {
    /// A type without parameters: `none`, `boolean`, `int`, `float`, `number`, `string`, `any`,
    /// `unknown`, … A name nobody knows is a type all the same.
    Basic(String),
    /// An instant.
    Timestamp,
    /// Values in order, all of one type.
    List(Box<Self>),
    /// Named values, each of its own type.
    TypedDict {
        /// The type of each, in the order in which they are written.
        properties: Vec<(String, Self)>,
        /// Those that may be left out.
        not_required: Vec<String>,
    },
    /// Named values, all of one type.
    Dict(Box<Self>),
    /// Any of several types.
    Union(Vec<Self>),
    /// One value only.
    Const {
        /// The value's type.
        ty: Box<Self>,
        /// The value.
        value: Json,
    },
    /// Any other type with parameters: objects, media, arrays, references, ….
    Other {
        /// Its name.
        name: String,
        /// What it has beside its name, in order; a value that is itself a type stays JSON.
        rest: Vec<(String, Json)>,
    },
}

/// A JSON value whose objects keep the order of their keys, whatever features serde_json has.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    String(String),
    /// An array.
    Array(Vec<Self>),
    /// An object.
    Object(Vec<(String, Self)>),
}

impl WeaveType {
    /// Makes a type without parameters.
    pub fn basic(name: &str) -> Self {
        Self::Basic(name.to_owned())
    }

    /// Makes a list type.
    pub fn list(element: Self) -> Self {
        Self::List(Box::new(element))
    }

    /// Returns the integer that a `const` parameter holds, such as an image's width.
    pub(crate) fn const_int(&self, key: &str) -> Option<i64> {
        let Self::Other { rest, .. } = self else { return None };
        let parameter = rest.iter().find_map(|(name, json)| (name == key).then_some(json))?;
        match Self::from_json(parameter) {
            Self::Const { value: Json::Int(n), .. } => Some(n),
            _ => None,
        }
    }

    /// Returns the same type in the table's own words, where these have one for it.
    pub fn to_type(&self) -> Option<Type> {
        Some(match self {
            Self::Basic(name) => match name.as_str() {
                "none" => Type::Null,
                "boolean" => Type::Bool,
                "int" => Type::Int,
                "float" | "number" => Type::Float,
                "string" => Type::String,
                "unknown" => Type::Unknown,
                _ => return None,
            },
            Self::Timestamp => Type::Timestamp,
            Self::List(element) => Type::list(element.to_type()?),
            Self::TypedDict { properties, not_required } => {
                let mut fields = Vec::with_capacity(properties.len());
                for (name, ty) in properties {
                    let ty = ty.to_type()?;
                    let may_lack = not_required.contains(name);
                    fields.push((name, if may_lack { ty.unite_any(&Type::Null) } else { ty }));
                }
                Type::fields(fields)
            }
            Self::Union(members) => {
                let mut all = Type::Unknown;
                for member in members {
                    all = all.unite_any(&member.to_type()?);
                }
                all
            }
            Self::Const { ty, .. } => ty.to_type()?,
            Self::Other { name, .. } if name == "pil_image" => {
                Type::Media(streamtable_schema::MediaKind::Image)
            }
            Self::Other { name, .. } => Type::Media(cell::media_kind(name)?),
            Self::Dict(_) => return None,
        })
    }

    fn from_json(json: &Json) -> Self {
        let (name, fields) = match json {
            // The web pages write `id` where they mean a text.
            Json::String(name) if name == "id" => return Self::basic("string"),
            Json::String(name) => return Self::Basic(name.clone()),
            Json::Object(fields) => match get(fields, "type") {
                Some(Json::String(name)) => (name.as_str(), fields),
                _ => return Self::basic("unknown"),
            },
            _ => return Self::basic("unknown"),
        };
        let child = |key| get(fields, key).map(|json| Box::new(Self::from_json(json)));
        let known = match name {
            "timestamp" if fields.len() == 1 => Some(Self::Timestamp),
            "list" => child("objectType").map(Self::List),
            "dict" => child("objectType").map(Self::Dict),
            "const" => child("valType")
                .zip(get(fields, "val"))
                .map(|(ty, value)| Self::Const { ty, value: value.clone() }),
            "union" => match get(fields, "members") {
                Some(Json::Array(members)) => {
                    Some(Self::Union(members.iter().map(Self::from_json).collect()))
                }
                _ => None,
            },
            "typedDict" => match get(fields, "propertyTypes") {
                Some(Json::Object(properties)) => Some(Self::TypedDict {
                    properties: properties
                        .iter()
                        .map(|(name, json)| (name.clone(), Self::from_json(json)))
                        .collect(),
                    not_required: match get(fields, "notRequiredKeys") {
                        Some(Json::Array(names)) => names.iter().filter_map(Json::text).collect(),
                        _ => Vec::new(),
                    },
                }),
                _ => None,
            },
            _ => None,
        };
        known.unwrap_or_else(|| {
            let rest = fields.iter().filter(|(key, _)| key != "type").cloned().collect();
            Self::Other { name: name.to_owned(), rest }
        })
    }

    fn to_json(&self) -> Json {
        let text = |s: &str| Json::String(s.to_owned());
        let object = |name: &str, rest: Vec<(&str, Json)>| {
            let rest = rest.into_iter().map(|(key, json)| (key.to_owned(), json));
            Json::Object(std::iter::once(("type".to_owned(), text(name))).chain(rest).collect())
        };
        match self {
            Self::Basic(name) => text(name),
            Self::Timestamp => object("timestamp", Vec::new()),
            Self::List(element) => object("list", vec![("objectType", element.to_json())]),
            Self::TypedDict { properties, not_required } => {
                let properties = properties.iter().map(|(n, ty)| (n.clone(), ty.to_json()));
                let mut rest = vec![("propertyTypes", Json::Object(properties.collect()))];
                if !not_required.is_empty() {
                    let names = not_required.iter().map(|name| text(name)).collect();
                    rest.push(("notRequiredKeys", Json::Array(names)));
                }
                object("typedDict", rest)
            }
            Self::Dict(ty) => {
                object("dict", vec![("keyType", text("string")), ("objectType", ty.to_json())])
            }
            Self::Union(members) => {
                let members = members.iter().map(Self::to_json).collect();
                object("union", vec![("members", Json::Array(members))])
            }
            Self::Const { ty, value } => {
                object("const", vec![("valType", ty.to_json()), ("val", value.clone())])
            }
            Self::Other { name, rest } => {
                object(name, rest.iter().map(|(key, json)| (key.as_str(), json.clone())).collect())
            }
        }
    }
}

impl From<&Type> for WeaveType {
    fn from(ty: &Type) -> Self {
        match ty {
            Type::Unknown => Self::basic("unknown"),
            Type::Null => Self::basic("none"),
            Type::Bool => Self::basic("boolean"),
            Type::Int => Self::basic("int"),
            Type::Float => Self::basic("float"),
            Type::String => Self::basic("string"),
            Type::Timestamp => Self::Timestamp,
            Type::Media(kind) => {
                Self::Other { name: cell::media_type(*kind).to_owned(), rest: Vec::new() }
            }
            Type::List(element) => Self::list((&**element).into()),
            Type::Struct(fields) => Self::TypedDict {
                properties: fields.iter().map(|(n, ty)| (n.to_owned(), ty.into())).collect(),
                not_required: Vec::new(),
            },
            Type::Union(union) => Self::Union(union.members().iter().map(Self::from).collect()),
        }
    }
}

impl FromStr for WeaveType {
    type Err = JsonError;

    /// Reads a type from its JSON text. Any JSON is a type, if only an unknown one.
    fn from_str(text: &str) -> Result<Self, JsonError> {
        let json: Json = serde_json::from_str(text)
            .map_err(|e| JsonError { position: e.column(), expected: "a type as JSON" })?;
        Ok(Self::from_json(&json))
    }
}

impl fmt::Display for WeaveType {
    /// Writes the type as JSON text, in the form that Python gives it: a space after each colon
    /// and comma.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::python_json::to_string(&self.to_json()))
    }
}

impl Serialize for WeaveType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for WeaveType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_json(&Json::deserialize(deserializer)?))
    }
}

impl Json {
    fn text(&self) -> Option<String> {
        match self {
            Self::String(s) => Some(s.clone()),
            _ => None,
        }
    }
}

fn get<'a>(fields: &'a [(String, Json)], key: &str) -> Option<&'a Json> {
    fields.iter().find_map(|(name, json)| (name == key).then_some(json))
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

        deserializer.deserialize_any(JsonVisitor)
    }
}

/// Undoes what serde_json makes of a number when its feature `arbitrary_precision` is on anywhere
/// in the program: an object of one secret key.
fn number_from_text(fields: Vec<(String, Json)>) -> Json {
    if let [(key, Json::String(digits))] = &fields[..]
        && key == streamtable_schema::token::JSON_NUMBER
    {
        match (digits.parse(), digits.parse()) {
            (Ok(n), _) => return Json::Int(n),
            (_, Ok(x)) => return Json::Float(x),
            _ => {}
        }
    }
    Json::Object(fields)
}
