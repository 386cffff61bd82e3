//! The kinds of values, and how they are stored.

use arrow::datatypes::{DataType, Field, Fields};
use serde::{Deserialize, Serialize};
use streamtable_schema::Value;

use super::{Shape, timestamp_type};

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
    /// Lists of booleans and nulls; likewise the other plurals.
    Bools,
    Ints,
    Floats,
    /// Lists of texts and nulls, and lists without values if the column has no other slot for lists.
    Texts,
    Times,
    /// Structs and other lists of a [shape](super::Shape).
    Nested,
    /// Other structs and lists, and integers beyond 64 bits, as JSON text.
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
            Value::List(items) => Self::of_list(items),
            Value::Int(_) | Value::Struct(_) => Self::Json,
            Value::Float(_) => Self::Float,
            Value::String(_) => Self::Text,
            Value::Timestamp(_) => Self::Time,
            Value::Media(_) => Self::Media,
        })
    }

    /// Returns the kind of a list. Integers next to floats are floats, unless digits would be lost.
    fn of_list(items: &[Value]) -> Self {
        let mut list: Option<Self> = None;
        for element in items.iter().filter_map(Self::of) {
            let Some(next) = Self::of_elements(element) else { return Self::Json };
            list = match (list, next) {
                (None, next) => Some(next),
                (Some(held), next) if held == next => Some(held),
                (Some(Self::Ints | Self::Floats), Self::Ints | Self::Floats) => Some(Self::Floats),
                _ => return Self::Json,
            };
        }
        match list {
            Some(Self::Floats) if !are_exact(items) => Self::Json,
            list => list.unwrap_or(Self::Texts),
        }
    }

    /// Returns the kind of lists whose elements are of a kind, if there is one.
    fn of_elements(element: Self) -> Option<Self> {
        Self::LISTS.into_iter().find(|list| list.element() == Some(element))
    }

    /// The kinds of lists.
    const LISTS: [Self; 5] = [Self::Bools, Self::Ints, Self::Floats, Self::Texts, Self::Times];

    /// Returns the kind of a list's elements; `None` if the kind is not one of lists.
    pub(crate) fn element(self) -> Option<Self> {
        Some(match self {
            Self::Bools => Self::Bool,
            Self::Ints => Self::Int,
            Self::Floats => Self::Float,
            Self::Texts => Self::Text,
            Self::Times => Self::Time,
            Self::Bool | Self::Int | Self::Float | Self::Text | Self::Time => return None,
            Self::Media | Self::Nested | Self::Json => return None,
        })
    }

    /// Returns the kind that is stored with a type; `None` for JSON text, which has the type of texts.
    pub(crate) fn of_type(ty: &DataType) -> Option<Self> {
        use Kind::{Bool, Float, Int, Media, Text, Time};
        match ty {
            // The name of the elements does not matter: in files it is another one.
            DataType::List(element) => {
                let element = Self::of_type(element.data_type())?;
                Some(Self::of_elements(element).unwrap_or(Self::Nested))
            }
            ty => {
                let all = [Bool, Int, Float, Text, Time, Media];
                let found = all.into_iter().find(|kind| kind.arrow_type() == *ty);
                found.or_else(|| Shape::of_type(ty).map(|_| Self::Nested))
            }
        }
    }

    /// Returns the type of values of this kind; that of nested values depends on their shape.
    pub(crate) fn arrow_type(self) -> DataType {
        match self {
            Self::Bools => list(Self::Bool),
            Self::Ints => list(Self::Int),
            Self::Floats => list(Self::Float),
            Self::Texts => list(Self::Text),
            Self::Times => list(Self::Time),
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Text | Self::Json => DataType::Utf8View,
            Self::Time => timestamp_type(),
            Self::Media => DataType::Struct(media_fields()),
            Self::Nested => DataType::Struct(Fields::empty()),
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        use Kind::{Bool, Float, Int, Json, Media, Nested, Text, Time};
        let mut all =
            [Bool, Int, Float, Text, Time, Media, Nested, Json].into_iter().chain(Self::LISTS);
        all.find(|kind| kind.as_str() == name)
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
            Self::Bools => "bools",
            Self::Ints => "ints",
            Self::Floats => "floats",
            Self::Texts => "texts",
            Self::Times => "times",
            Self::Nested => "nested",
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
    /// The shape of nested values.
    pub(crate) shape: Option<Shape>,
}

fn list(element: Kind) -> DataType {
    DataType::new_list(element.arrow_type(), true)
}

/// Returns whether floats can hold all integers of a list.
pub(super) fn are_exact(items: &[Value]) -> bool {
    items.iter().all(|item| !matches!(item, Value::Int(n) if !is_exact(*n)))
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
    let clean = |c: char| if is_allowed(c) { c } else { '_' };
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

/// Returns whether Delta allows a character in names.
fn is_allowed(c: char) -> bool {
    !c.is_control() && !matches!(c, ' ' | ',' | ';' | '{' | '}' | '(' | ')' | '=')
}

/// Returns whether every reader of files finds a field of a struct by its name. A dot separates names.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| is_allowed(c) && !matches!(c, '.' | '`' | '"'))
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
