//! Cell values.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::time::SystemTime;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::{Media, Row, Timestamp, ValueError, serialize};

/// Maximum nesting of lists and structs in a cell.
///
/// A list of strings has depth 1.
pub const MAX_DEPTH: usize = 64;

/// The value of one cell.
///
/// Common Rust types convert: `Value::from(7)`, `Value::from("x")`, `Value::from(None::<f64>)`,
/// `Value::from(vec![1, 2])`.
///
/// Two values are equal if they are the same cell: `NaN` equals `NaN`.
#[derive(Clone)]
pub enum Value {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer. Columns store signed 64-bit integers; a row with a wider one is refused, so that
    /// no digit is lost silently.
    Int(i128),
    /// A number, including `NaN` and the infinities.
    Float(f64),
    /// A string.
    String(String),
    /// A timestamp.
    Timestamp(Timestamp),
    /// An image, audio, video or document. Boxed because it is four times as large as the others.
    Media(Box<Media>),
    /// A list of values.
    List(Vec<Self>),
    /// A struct: named values in order.
    Struct(Row),
}

impl Value {
    /// Makes a value from any value that serializes: a struct, a map, a list or a scalar.
    ///
    /// Fails if it cannot be stored in a table, such as a byte string.
    ///
    /// ```
    /// use streamtable_schema::{Value, row};
    ///
    /// #[derive(serde::Serialize)]
    /// struct Point {
    ///     x: i32,
    ///     y: i32,
    /// }
    ///
    /// let row = row! { "from" => Value::from_serialize(&Point { x: 1, y: 2 })? };
    /// assert_eq!(row, row! { "from" => row! { "x" => 1, "y" => 2 } });
    /// # Ok::<(), streamtable_schema::ValueError>(())
    /// ```
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self, ValueError> {
        serialize::value(value)
    }

    /// Returns whether the value is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns the boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// Returns the integer, if it is one that fits 64 bits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(n) => i64::try_from(*n).ok(),
            _ => None,
        }
    }

    /// Returns the number, if it is one; an integer is rounded to the nearest float.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(*n as f64),
            Self::Float(x) => Some(*x),
            _ => None,
        }
    }

    /// Returns the string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// Returns the timestamp, if it is one.
    pub fn as_timestamp(&self) -> Option<Timestamp> {
        match self {
            Self::Timestamp(t) => Some(*t),
            _ => None,
        }
    }

    /// Returns the elements, if the value is a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the fields, if the value is a struct.
    pub fn as_struct(&self) -> Option<&Row> {
        match self {
            Self::Struct(row) => Some(row),
            _ => None,
        }
    }
}

impl fmt::Debug for Value {
    /// Writes the value like JSON, always in one line: `null`, `7`, `7.0`, `NaN`, `"x"`, `[1, 2]`, `{"a": 1}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return write!(f, "{}", format_args!("{self:?}"));
        }
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(b) => fmt::Debug::fmt(b, f),
            Self::Int(n) => fmt::Debug::fmt(n, f),
            Self::Float(x) => fmt::Debug::fmt(x, f),
            Self::String(s) => fmt::Debug::fmt(s, f),
            Self::Timestamp(t) => fmt::Display::fmt(t, f),
            Self::Media(m) => fmt::Debug::fmt(m, f),
            Self::List(items) => fmt::Debug::fmt(items, f),
            Self::Struct(row) => fmt::Debug::fmt(row, f),
        }
    }
}

impl fmt::Display for Value {
    /// Writes the value like JSON, in one line, as `Debug` does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
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

macro_rules! from_reference {
    ($($scalar:ty)*) => {$(
        impl From<&$scalar> for Value {
            fn from(value: &$scalar) -> Self {
                (*value).into()
            }
        }
    )*};
}
from_reference!(bool i8 i16 i32 i64 i128 isize u8 u16 u32 u64 usize f32 f64 char Timestamp);

macro_rules! from_non_zero {
    ($($int:ty)*) => {$(
        impl From<NonZero<$int>> for Value {
            fn from(n: NonZero<$int>) -> Self {
                n.get().into()
            }
        }
    )*};
}
from_non_zero!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 usize);

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

impl From<&String> for Value {
    fn from(s: &String) -> Self {
        Self::String(s.clone())
    }
}

impl From<Box<str>> for Value {
    fn from(s: Box<str>) -> Self {
        Self::String(s.into())
    }
}

impl From<Arc<str>> for Value {
    fn from(s: Arc<str>) -> Self {
        Self::String((*s).to_owned())
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

impl From<Media> for Value {
    fn from(m: Media) -> Self {
        Self::Media(Box::new(m))
    }
}

impl From<Row> for Value {
    fn from(row: Row) -> Self {
        Self::Struct(row)
    }
}

impl<K: Into<Cow<'static, str>>, V: Into<Self>> From<BTreeMap<K, V>> for Value {
    /// Converts to a struct, in the order of the keys.
    fn from(map: BTreeMap<K, V>) -> Self {
        Self::Struct(map.into_iter().collect())
    }
}

impl<K: Ord + Into<Cow<'static, str>>, V: Into<Self>> From<HashMap<K, V>> for Value {
    /// Converts to a struct, in the order of the sorted keys.
    fn from(map: HashMap<K, V>) -> Self {
        map.into_iter().collect::<BTreeMap<_, _>>().into()
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
    /// Converts any JSON value, at any depth. An integer beyond 128 bits becomes the nearest float,
    /// and so does one beyond 64 bits unless serde_json's `arbitrary_precision` keeps its digits.
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
    match (n.as_i128(), n.as_f64()) {
        (Some(n), _) => Value::Int(n),
        (None, Some(x)) => Value::Float(x),
        // With `arbitrary_precision` a number may exceed the range of floats.
        (None, None) => number_text(&n.to_string()).unwrap_or(Value::Float(f64::NAN)),
    }
}

/// Parses a JSON number.
pub(crate) fn number_text(text: &str) -> Option<Value> {
    let int = text.parse().map(Value::Int).ok();
    int.or_else(|| text.parse().map(Value::Float).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_small() {
        assert!(size_of::<Value>() <= 32);
    }
    use crate::row;

    #[track_caller]
    fn check(value: impl Into<Value>, expected: Value) {
        assert_eq!(value.into(), expected);
    }

    #[test]
    fn conversions() {
        check((), Value::Null);
        check(None::<&str>, Value::Null);
        check(Some(true), Value::Bool(true));
        check(u64::MAX, Value::Int(18446744073709551615));
        check(0.5_f32, Value::Float(0.5));
        check(f64::NAN, Value::Float(f64::NAN));
        check('x', Value::String("x".into()));
        check(Cow::Borrowed("x"), Value::String("x".into()));
        check(Arc::<str>::from("x"), Value::String("x".into()));
        check(BTreeMap::from([("a", 1)]), row! { "a" => 1 }.into());
        check(HashMap::from([("b", 1), ("a", 2)]), row! { "a" => 2, "b" => 1 }.into());
        let seven = &7;
        check(seven, Value::Int(7));
        check(NonZero::new(7_u8), Value::Int(7));
        check(SystemTime::UNIX_EPOCH, Value::Timestamp(Timestamp::from_micros(0)));
        check(vec![Some(1), None], Value::List(vec![Value::Int(1), Value::Null]));
        check(&["x"][..], Value::List(vec![Value::String("x".into())]));
        check([[1]], Value::List(vec![Value::List(vec![Value::Int(1)])]));
        check(row! { "a" => [1] }, Value::Struct(Row::new().with("a", [1])));
    }

    #[test]
    fn accessors_return_only_their_kind() {
        let row =
            row! { "n" => 7, "x" => 0.5, "s" => "x", "ok" => true, "l" => [1], "r" => row! {} };
        assert_eq!((row["n"].as_i64(), row["n"].as_f64()), (Some(7), Some(7.0)));
        assert_eq!((row["x"].as_i64(), row["x"].as_f64()), (None, Some(0.5)));
        assert_eq!((row["s"].as_str(), row["n"].as_str()), (Some("x"), None));
        assert_eq!((row["ok"].as_bool(), row["s"].as_bool()), (Some(true), None));
        assert_eq!(row["l"].as_list().map(<[Value]>::len), Some(1));
        assert_eq!((row["r"].as_struct(), row["l"].as_struct()), (Some(&row! {}), None));
        let at = Timestamp::from_micros(1);
        assert_eq!((Value::from(at).as_timestamp(), row["n"].as_timestamp()), (Some(at), None));
        assert!(row["missing"].is_null() && Value::from(i128::MAX).as_i64().is_none());
        assert_eq!(row.into_iter().count(), 6);
    }

    #[test]
    fn values_are_made_from_serializable_ones() {
        #[track_caller]
        fn check(value: impl Serialize, expected: impl Into<Value>) {
            assert_eq!(Value::from_serialize(&value), Ok(expected.into()));
        }
        check((1, "x", None::<i64>), vec![Value::Int(1), "x".into(), Value::Null]);
        check(BTreeMap::from([("a", 0.5)]), row! { "a" => 0.5 });
        check(Timestamp::from_micros(7), Timestamp::from_micros(7));
        let mut nested = Value::from(0);
        for _ in 0..=MAX_DEPTH {
            nested = vec![nested].into();
        }
        assert!(Value::from_serialize(&nested).is_err());
    }

    #[test]
    fn a_value_is_displayed_like_json() {
        let row = row! { "a" => [Value::Null, "x".into()], "t" => Timestamp::from_micros(0) };
        assert_eq!(row.to_string(), r#"{"a": [null, "x"], "t": 1970-01-01T00:00:00Z}"#);
        assert_eq!(Value::from(row.clone()).to_string(), row.to_string());
    }

    #[test]
    fn kinds_are_not_equal() {
        assert_ne!(Value::from(1), Value::from(1.0));
        assert_ne!(Value::from("1"), Value::from(1));
        assert_ne!(Value::from(f64::NAN), Value::from(0.0));
        assert_ne!(Value::from(row! { "a" => 1, "b" => 2 }), row! { "b" => 2, "a" => 1 }.into());
    }

    #[track_caller]
    fn check_json(value: impl Into<Value>, json: &str) {
        assert_eq!(serde_json::to_string(&value.into()).unwrap(), json);
    }

    #[test]
    fn serialized_as_plain_json() {
        check_json((), "null");
        check_json(i128::MAX, "170141183460469231731687303715884105727");
        check_json(row! { "b" => [0.5], "a" => "x" }, r#"{"b":[0.5],"a":"x"}"#);
        check_json(Timestamp::from_micros(7), "7");
    }
}
