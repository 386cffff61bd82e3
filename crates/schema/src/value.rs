//! What a cell holds.

use std::borrow::Cow;
use std::time::SystemTime;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::{Media, Row, Timestamp};

/// How many lists and structs may lie inside one another in a cell.
///
/// A list of strings has depth 1.
pub const MAX_DEPTH: usize = 64;

/// What one cell holds.
///
/// Everything that has a natural meaning converts: `Value::from(7)`, `Value::from("x")`,
/// `Value::from(None::<f64>)`, `Value::from(vec![1, 2])`.
///
/// Two values are equal when they are the same cell: `NaN` equals `NaN`.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer. A column takes those of 64 bits with a sign; a wider one is refused with its
    /// row, so that no digit is lost unseen.
    Int(i128),
    /// A number, `NaN` and the infinities included.
    Float(f64),
    /// A text.
    String(String),
    /// An instant.
    Timestamp(Timestamp),
    /// An image, sound, film or document.
    Media(Media),
    /// Values in order.
    List(Vec<Self>),
    /// Named values in order.
    Struct(Row),
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Media(a), Self::Media(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Struct(a), Self::Struct(b)) => a == b,
            _ => false,
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(b) => serializer.serialize_bool(*b),
            Self::Int(n) => match i64::try_from(*n) {
                Ok(n) => serializer.serialize_i64(n),
                Err(_) => serializer.serialize_i128(*n),
            },
            Self::Float(x) => serializer.serialize_f64(*x),
            Self::String(s) => serializer.serialize_str(s),
            Self::Timestamp(t) => t.serialize(serializer),
            Self::Media(m) => m.serialize(serializer),
            Self::List(items) => items.serialize(serializer),
            Self::Struct(row) => row.serialize(serializer),
        }
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self.cells() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::Null
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

macro_rules! from_integer {
    ($($int:ty)*) => {$(
        impl From<$int> for Value {
            fn from(n: $int) -> Self {
                Self::Int(n as i128)
            }
        }
    )*};
}
from_integer!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 usize);

impl From<f32> for Value {
    fn from(x: f32) -> Self {
        Self::Float(x.into())
    }
}

impl From<f64> for Value {
    fn from(x: f64) -> Self {
        Self::Float(x)
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Self::String(s.to_owned())
    }
}

impl From<String> for Value {
    fn from(s: String) -> Self {
        Self::String(s)
    }
}

impl From<Cow<'_, str>> for Value {
    fn from(s: Cow<'_, str>) -> Self {
        Self::String(s.into_owned())
    }
}

impl From<char> for Value {
    fn from(c: char) -> Self {
        Self::String(c.into())
    }
}

impl From<Timestamp> for Value {
    fn from(t: Timestamp) -> Self {
        Self::Timestamp(t)
    }
}

impl From<SystemTime> for Value {
    fn from(t: SystemTime) -> Self {
        Self::Timestamp(t.into())
    }
}

impl From<jiff::Timestamp> for Value {
    fn from(t: jiff::Timestamp) -> Self {
        Self::Timestamp(t.into())
    }
}

impl From<Media> for Value {
    fn from(m: Media) -> Self {
        Self::Media(m)
    }
}

impl From<Row> for Value {
    fn from(row: Row) -> Self {
        Self::Struct(row)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(option: Option<T>) -> Self {
        option.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        items.into_iter().collect()
    }
}

impl<T: Into<Self>, const N: usize> From<[T; N]> for Value {
    fn from(items: [T; N]) -> Self {
        items.into_iter().collect()
    }
}

impl<T: Clone + Into<Self>> From<&[T]> for Value {
    fn from(items: &[T]) -> Self {
        items.iter().cloned().collect()
    }
}

impl<T: Into<Self>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl From<serde_json::Value> for Value {
    /// Converts any JSON value. An integer beyond 128 bits becomes the nearest float.
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(b) => Self::Bool(b),
            serde_json::Value::Number(n) => number(&n),
            serde_json::Value::String(s) => Self::String(s),
            serde_json::Value::Array(items) => items.into_iter().collect(),
            serde_json::Value::Object(map) => Self::Struct(map.into()),
        }
    }
}

fn number(n: &serde_json::Number) -> Value {
    match n.as_i128() {
        Some(n) => Value::Int(n),
        None => Value::Float(n.as_f64().unwrap_or(f64::NAN)),
    }
}
