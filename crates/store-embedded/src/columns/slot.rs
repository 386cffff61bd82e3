//! The kinds of values, and how they are stored.

use arrow::datatypes::{DataType, Field, Fields};
use serde::{Deserialize, Serialize};
use streamtable_schema::Value;

use super::timestamp_type;

/// A kind of values that share a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Bool,
    Int,
    Float,
    Text,
    Time,
    Media,
    /// Lists, structs and integers beyond 64 bits, as JSON text.
    Json,
}

/// The limit up to which a float can hold every integer.
const EXACT: i128 = 1 << 53;

impl Kind {
    /// Returns the kind of a value; `None` for null.
    pub(super) fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(_) => Self::Bool,
            Value::Int(n) if i64::try_from(*n).is_ok() => Self::Int,
            Value::Int(_) | Value::List(_) | Value::Struct(_) => Self::Json,
            Value::Float(_) => Self::Float,
            Value::String(_) => Self::Text,
            Value::Timestamp(_) => Self::Time,
            Value::Media(_) => Self::Media,
        })
    }

    pub(crate) fn arrow_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Text | Self::Json => DataType::Utf8View,
            Self::Time => timestamp_type(),
            Self::Media => DataType::Struct(media_fields()),
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        use Kind::{Bool, Float, Int, Json, Media, Text, Time};
        let all = [Bool, Int, Float, Text, Time, Media, Json];
        all.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Returns the kind's name, which is also the suffix of slot names.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "text",
            Self::Time => "time",
            Self::Media => "media",
            Self::Json => "json",
        }
    }
}

/// A slot as the Delta table describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownSlot {
    pub(crate) column: String,
    pub(crate) kind: Kind,
    pub(crate) field: String,
}

/// Returns whether a float can hold an integer exactly.
pub(super) fn is_exact(n: i128) -> bool {
    (-EXACT..=EXACT).contains(&n)
}

/// The fields of a stored media cell, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediaField {
    Kind,
    Path,
    Hash,
    Size,
    Width,
    Height,
    Format,
    Caption,
}

pub(super) fn media_fields() -> Fields {
    let text = |name| Field::new(name, DataType::Utf8View, true);
    let side = |name| Field::new(name, DataType::Int32, true);
    Fields::from(vec![
        text("kind"),
        text("path"),
        text("hash"),
        Field::new("size", DataType::Int64, true),
        side("width"),
        side("height"),
        text("format"),
        text("caption"),
    ])
}

/// The longest name of a slot, in bytes.
const MAX_NAME: usize = 120;

/// Returns the preferred name of a slot in files: the column's own name for its first slot, with
/// the kind as a suffix for others. Characters that Delta forbids in names become `_`.
pub(super) fn field_name(column: &str, first: Option<Kind>, kind: Kind) -> String {
    let clean = |c: char| match c {
        ' ' | ',' | ';' | '{' | '}' | '(' | ')' | '=' => '_',
        c if c.is_control() => '_',
        c => c,
    };
    let mut name = String::new();
    for c in column.chars().map(clean) {
        if name.len() + c.len_utf8() > MAX_NAME {
            break;
        }
        name.push(c);
    }
    if name.is_empty() {
        name.push('_');
    }
    if first.is_none() {
        name.push_str("__");
        name.push_str(kind.as_str());
    }
    name
}

/// Appends a number to a name until it is not taken, ignoring case.
pub(super) fn unique(name: String, is_taken: impl Fn(&str) -> bool) -> String {
    let is_taken = |name: &str| is_taken(&name.to_lowercase());
    if !is_taken(&name) {
        return name;
    }
    let mut n = 2;
    loop {
        let numbered = format!("{name}_{n}");
        if !is_taken(&numbered) {
            return numbered;
        }
        n += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        #[track_caller]
        fn check(column: &str, first: bool, expected: &str) {
            assert_eq!(field_name(column, first.then_some(Kind::Int), Kind::Int), expected);
        }
        check("ms", true, "ms");
        check("ms", false, "ms__int");
        check("a b;c\n=(d)", true, "a_b_c___d_");
        check("", true, "_");
        check("é/λ.x", true, "é/λ.x");
        assert_eq!(field_name(&"é".repeat(500), None, Kind::Json).len(), MAX_NAME + 6);
        assert_eq!(unique("A".into(), |name| ["a", "a_2"].contains(&name)), "A_3");
    }
}
