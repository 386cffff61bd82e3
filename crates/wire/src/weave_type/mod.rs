//! Weave's types in their JSON form (protocol notes §10).

mod json;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use streamtable_schema::{MediaKind, Type};

use crate::cell;
use crate::json::{JsonError, parse};
use crate::unite::unite_all;

pub use json::Json;

/// A type in Weave's grammar: a bare name, or an object whose `type` names it.
///
/// Properties and parameters keep their order.
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
    /// `unknown`, … Unknown names are accepted.
    Basic(String),
    /// A timestamp.
    Timestamp,
    /// A list with elements of one type.
    List(Box<Self>),
    /// A struct: named values, each with its own type.
    TypedDict {
        /// The type of each field, in the written order.
        properties: Vec<(String, Self)>,
        /// The fields that may be missing.
        not_required: Vec<String>,
    },
    /// A map: named values of one type.
    Dict(Box<Self>),
    /// Any of several types.
    Union(Vec<Self>),
    /// A single constant value.
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
        /// Its other fields in order; a value that is itself a type stays JSON.
        rest: Vec<(String, Json)>,
    },
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

    /// Returns the equivalent schema type, if there is one.
    pub fn to_type(&self) -> Option<Type> {
        Some(match self {
            Self::Basic(name) => match name.as_str() {
                "none" => Type::Null,
                "boolean" => Type::Bool,
                "int" => Type::Int,
                "float" | "number" => Type::Float,
                "string" => Type::String,
                "unknown" => Type::Unknown,
                "timestamp" => Type::Timestamp,
                _ => return None,
            },
            Self::Timestamp => Type::Timestamp,
            Self::List(element) => Type::list(element.to_type()?),
            Self::TypedDict { properties, not_required } => {
                let not_required: HashSet<&str> = not_required.iter().map(|n| &**n).collect();
                let mut fields = Vec::with_capacity(properties.len());
                for (name, ty) in properties {
                    let ty = ty.to_type()?;
                    let may_lack = not_required.contains(name.as_str());
                    fields.push((name, if may_lack { ty.unite(&Type::Null) } else { ty }));
                }
                Type::fields(fields)
            }
            Self::Union(members) => {
                let members: Option<Vec<Type>> = members.iter().map(Self::to_type).collect();
                unite_all(members?)
            }
            Self::Const { ty, .. } => ty.to_type()?,
            Self::Other { name, .. } => match cell::media_kind(name) {
                Some(kind) => Type::Media(kind),
                None if name == cell::PIL_IMAGE => Type::Media(MediaKind::Image),
                // A name without parameters, written as an object.
                None => Self::basic(name).to_type()?,
            },
            Self::Dict(_) => return None,
        })
    }

    fn from_json(json: &Json) -> Self {
        let (name, fields) = match json {
            // The web pages write `id` for a string.
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
                        Some(Json::Array(names)) => {
                            names.iter().filter_map(Json::text).map(str::to_owned).collect()
                        }
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

    /// Parses a type from its JSON text. Accepts any JSON; what is not a type becomes an unknown
    /// type.
    fn from_str(text: &str) -> Result<Self, JsonError> {
        Ok(Self::from_json(&Json::from_value(parse(text)?)))
    }
}

impl fmt::Display for WeaveType {
    /// Writes the type as JSON text in Python's format: a space after each colon and comma.
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

fn get<'a>(fields: &'a [(String, Json)], key: &str) -> Option<&'a Json> {
    fields.iter().find_map(|(name, json)| (name == key).then_some(json))
}
