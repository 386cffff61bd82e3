//! What a server tells of a run's columns: the `historyKeys` document (protocol notes §5.3, §10).

use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use streamtable_schema::{Schema, Type};

use crate::{WeaveType, cell};

/// The columns of a run, and the number of its last row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryKeys {
    /// The number of the last row; −1 for a run without rows.
    #[serde(default = "before_the_first")]
    pub last_step: i64,
    /// The columns, in the order in which the server gives them. A column inside a struct may have
    /// a dotted name.
    #[serde(default)]
    pub keys: Ordered<ColumnKeys>,
}

fn before_the_first() -> i64 {
    -1
}

/// What types a column has held.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ColumnKeys {
    /// Each type, and how often it came.
    #[serde(default)]
    pub type_counts: Vec<TypeCount>,
}

/// A type that a column has held, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TypeCount {
    /// `string`, `number`, `nil`, `bool`, `map`, `list`, a media cell's `_type`, or a weave type as
    /// text behind `_wt_::`.
    #[serde(rename = "type")]
    pub name: String,
    /// How many rows had it. −1 where the server has not counted.
    #[serde(default)]
    pub count: i64,
    /// What a `map` holds.
    #[serde(default, skip_serializing_if = "Ordered::is_empty")]
    pub keys: Ordered<Self>,
    /// What a `list` holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Self>,
}

impl HistoryKeys {
    /// Describes a table of `rows` rows.
    ///
    /// Each type is named without being counted, and integers are numbers, as the protocol has it.
    pub fn new(schema: &Schema, rows: u64) -> Self {
        let columns = schema.columns().iter().map(|column| {
            (column.name.to_string(), ColumnKeys { type_counts: counts(&column.ty) })
        });
        Self { last_step: rows as i64 - 1, keys: columns.collect() }
    }

    /// Returns the number that the next row has.
    pub fn next_step(&self) -> u64 {
        u64::try_from(self.last_step.saturating_add(1)).unwrap_or(0)
    }

    /// Returns the table's columns with their types, in the order in which the server gives them,
    /// without those that the protocol fills itself.
    ///
    /// Dotted names are put together to structs again. A type that the vocabulary has no word for
    /// counts as unknown, so that any value fits it.
    pub fn columns(&self) -> Vec<(String, Type)> {
        let mut columns: Vec<(String, Type)> = Vec::new();
        for (key, column) in self.keys.iter() {
            let mut path = split_path(key);
            let name = path.remove(0);
            if crate::RESERVED_COLUMNS.contains(&name.as_str()) {
                continue;
            }
            let mut ty = unite(&column.type_counts);
            for field in path.into_iter().rev() {
                ty = Type::fields([(field, ty)]);
            }
            match columns.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = merge_fields(known, &ty),
                None => columns.push((name, ty)),
            }
        }
        columns
    }
}

/// Puts the parts of a struct together that came under dotted names of their own.
fn merge_fields(a: &Type, b: &Type) -> Type {
    let (Type::Struct(x), Type::Struct(y)) = (a, b) else { return a.unite_any(b) };
    let all = x.iter().chain(y.iter().filter(|(name, _)| x.get(name).is_none()));
    Type::fields(all.map(|(name, ty)| match y.get(name) {
        Some(other) if x.get(name).is_some() => (name, merge_fields(ty, other)),
        _ => (name, ty.clone()),
    }))
}

/// Splits a dotted name; a dot behind a backslash is part of a name.
fn split_path(key: &str) -> Vec<String> {
    let mut path = vec![String::new()];
    let mut chars = key.chars().peekable();
    while let Some(c) = chars.next() {
        let last = path.last_mut().expect("the path is never empty");
        match c {
            '\\' if chars.peek() == Some(&'.') => last.extend(chars.next()),
            '.' => path.push(String::new()),
            c => last.push(c),
        }
    }
    path
}

fn unite(counts: &[TypeCount]) -> Type {
    counts.iter().fold(Type::Unknown, |all, count| all.unite_any(&count.to_type()))
}

impl TypeCount {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), count: -1, keys: Ordered::default(), items: Vec::new() }
    }

    fn to_type(&self) -> Type {
        match self.name.as_str() {
            "string" => Type::String,
            "number" => Type::Float,
            "nil" => Type::Null,
            "bool" => Type::Bool,
            "map" => Type::fields(self.keys.iter().map(|(name, ty)| (name.clone(), ty.to_type()))),
            "list" => Type::list(unite(&self.items)),
            name => match name.strip_prefix("_wt_::") {
                Some(weave) => {
                    let ty = weave.parse::<WeaveType>().ok().and_then(|ty| ty.to_type());
                    ty.unwrap_or(Type::Unknown)
                }
                None => cell::media_kind(name).map_or(Type::Unknown, Type::Media),
            },
        }
    }
}

fn counts(ty: &Type) -> Vec<TypeCount> {
    ty.members().iter().map(count).collect()
}

fn count(member: &Type) -> TypeCount {
    match member {
        Type::Null | Type::Unknown | Type::Union(_) => TypeCount::named("nil"),
        Type::Bool => TypeCount::named("bool"),
        Type::Int | Type::Float => TypeCount::named("number"),
        Type::String => TypeCount::named("string"),
        Type::Timestamp => TypeCount::named(r#"_wt_::{"type": "timestamp"}"#),
        Type::Media(kind) => TypeCount::named(cell::media_type(*kind)),
        Type::List(element) => TypeCount { items: counts(element), ..TypeCount::named("list") },
        Type::Struct(fields) => {
            // A field has one entry here; one of several types is named by the first.
            let keys = fields.iter().map(|(name, ty)| {
                let first = ty.members().iter().find(|m| **m != Type::Null).unwrap_or(&Type::Null);
                (name.to_owned(), count(first))
            });
            TypeCount { keys: keys.collect(), ..TypeCount::named("map") }
        }
    }
}

/// A JSON object that keeps the order of its keys, whatever features serde_json has.
#[derive(Clone, Debug, PartialEq)]
pub struct Ordered<T> {
    entries: Vec<(String, T)>,
}

impl<T> Ordered<T> {
    /// Returns the entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &(String, T)> {
        self.entries.iter()
    }

    /// Tells whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T> FromIterator<(String, T)> for Ordered<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len()))?;
        for (key, value) in &self.entries {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered { entries })
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}
