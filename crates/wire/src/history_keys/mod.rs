//! The columns of a run as a server describes them: the `historyKeys` document (protocol notes
//! §5.3, §10).

mod columns;
mod ordered;
mod previous;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::{Deserialize, Deserializer, Serialize};
use streamtable_schema::{Row, Schema, Type, Value};

use crate::cell;

pub use ordered::Ordered;

/// Maximum nesting of lists and structs in a document.
///
/// Each takes up to three JSON levels, and readers stop at 128 (as serde_json does). Deeper levels
/// are described as an empty list or struct, which unites with anything.
const MAX_DESCRIBED_DEPTH: usize = 32;

/// The columns of a run, and the number of its last row.
///
/// Absent and null parts are treated as empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryKeys {
    /// The number of the last row; −1 for a run without rows.
    #[serde(default = "before_the_first", deserialize_with = "null_is_before_the_first")]
    pub last_step: i64,
    /// The columns, in the server's order. A field of a struct may appear as a dotted name.
    #[serde(default, deserialize_with = "null_is_default")]
    pub keys: Ordered<ColumnKeys>,
}

/// The types of a column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ColumnKeys {
    /// Each type and the number of its cells.
    #[serde(default, deserialize_with = "null_is_default")]
    pub type_counts: Vec<TypeCount>,
    /// The newest value, if it is known and short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_value: Option<serde_json::Value>,
}

/// A type of a column's cells, and their number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TypeCount {
    /// `string`, `number`, `nil`, `bool`, `map`, `list`, a media cell's `_type`, or a weave type as
    /// text after `_wt_::`. Empty if the server does not know it.
    #[serde(rename = "type", default, deserialize_with = "null_is_default")]
    pub name: String,
    /// The number of rows with this type; −1 if the server has not counted.
    #[serde(default, deserialize_with = "null_is_default")]
    pub count: i64,
    /// The field types of a `map`.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Ordered::is_empty"
    )]
    pub keys: Ordered<Vec<Self>>,
    /// The element types of a `list`.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Self>,
}

impl HistoryKeys {
    /// Describes a table with `rows` rows.
    ///
    /// Each type is listed without a count, and integers are described as numbers, as the protocol
    /// requires.
    pub fn new(schema: &Schema, rows: u64) -> Self {
        let columns = schema.columns().iter().map(|column| {
            (
                columns::escape(&column.name),
                ColumnKeys {
                    type_counts: counts(&column.ty, MAX_DESCRIBED_DEPTH),
                    previous_value: None,
                },
            )
        });
        Self {
            last_step: i64::try_from(rows).map_or(i64::MAX, |rows| rows - 1),
            keys: columns.collect(),
        }
    }

    /// Adds the newest values of columns, and of the fields of structs as dotted names.
    ///
    /// `newest` are the table's last rows, the newest first. A column without a value in them, and a
    /// list or a long text, is left without a newest value.
    #[must_use]
    pub fn with_newest<'a>(self, newest: impl IntoIterator<Item = &'a Row>) -> Self {
        let mut values = Vec::new();
        for row in newest {
            previous::scalars(row, "", MAX_DESCRIBED_DEPTH, &mut values);
        }
        let mut found: HashMap<String, Value> = HashMap::new();
        let mut fields = Vec::new();
        for (name, value) in values {
            if let Entry::Vacant(first) = found.entry(name) {
                fields.push((first.key().clone(), previous::described(&value)));
                first.insert(value);
            }
        }
        let mut keys: Vec<(String, ColumnKeys)> = self.keys.into_entries();
        for (name, keys) in &mut keys {
            keys.previous_value = found.remove(name.as_str()).and_then(|it| previous::json(&it));
        }
        let fields = fields.into_iter().filter_map(|(name, mut keys)| {
            keys.previous_value = previous::json(&found.remove(&name)?);
            Some((name, keys))
        });
        Self { keys: keys.into_iter().chain(fields).collect(), ..self }
    }

    /// Returns the number of the next row.
    pub fn next_step(&self) -> u64 {
        u64::try_from(self.last_step.saturating_add(1)).unwrap_or(0)
    }

    /// Returns the table's columns with their types, in the server's order, without those that the
    /// protocol fills.
    ///
    /// Dotted names are combined into structs. A type without an equivalent in the schema counts as
    /// unknown, so that any value fits it.
    pub fn columns(&self) -> Vec<(String, Type)> {
        columns::columns(self)
    }
}

impl TypeCount {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), count: -1, keys: Ordered::default(), items: Vec::new() }
    }
}

fn counts(ty: &Type, room: usize) -> Vec<TypeCount> {
    ty.members().iter().map(|member| count(member, room)).collect()
}

fn count(member: &Type, room: usize) -> TypeCount {
    match member {
        Type::Null | Type::Unknown | Type::Union(_) => TypeCount::named("nil"),
        Type::Bool => TypeCount::named("bool"),
        Type::Int | Type::Float => TypeCount::named("number"),
        Type::String => TypeCount::named("string"),
        Type::Timestamp => TypeCount::named(r#"_wt_::{"type": "timestamp"}"#),
        Type::Media(kind) => TypeCount::named(cell::media_type(*kind)),
        Type::List(_) if room == 0 => TypeCount::named("list"),
        Type::Struct(_) if room == 0 => TypeCount::named("map"),
        Type::List(element) => {
            TypeCount { items: counts(element, room - 1), ..TypeCount::named("list") }
        }
        Type::Struct(fields) => {
            let keys = fields.iter().map(|(name, ty)| (name.to_owned(), counts(ty, room - 1)));
            TypeCount { keys: keys.collect(), ..TypeCount::named("map") }
        }
    }
}

fn before_the_first() -> i64 {
    -1
}

fn null_is_before_the_first<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(before_the_first))
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
