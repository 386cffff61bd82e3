//! Deserialization of the cells of a row, with errors that name the column.

use std::fmt;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use streamtable_schema::{Row, Value};

/// Why a row cannot be deserialized, and which cell is the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellError {
    /// The column, and the path inside it, such as `places[].x`. Empty if the error is about the
    /// whole row.
    pub path: String,
    /// The reason why the cell does not fit.
    pub problem: CellProblem,
}

/// The reason why a cell does not fit the type of the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CellProblem {
    /// There is no such column, and the type has no default for it.
    Missing,
    /// The value is of another kind than the type expects.
    Kind {
        /// A description of the values that the type accepts.
        expected: String,
        /// The value.
        found: String,
    },
    /// Another message of the type's `Deserialize`.
    Other {
        /// The message.
        message: String,
    },
}

impl CellError {
    /// Returns the column.
    pub fn column(&self) -> &str {
        self.path.split(['.', '[']).next().unwrap_or_default()
    }

    fn of(problem: CellProblem) -> Self {
        Self { path: String::new(), problem }
    }

    /// Returns the error with its path extended by a field of an outer struct.
    fn in_field(self, name: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        Self { path: format!("{name}{dot}{}", self.path), ..self }
    }

    fn in_list(self) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        Self { path: format!("[]{dot}{}", self.path), ..self }
    }
}

impl fmt::Display for CellError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "column {:?} ", self.path)?;
        }
        match &self.problem {
            CellProblem::Missing => {
                f.write_str("is missing: select it, or make the field optional")
            }
            CellProblem::Kind { expected, found } => write!(f, "is {found}, expected {expected}"),
            CellProblem::Other { message } if self.path.is_empty() => f.write_str(message),
            CellProblem::Other { message } => write!(f, "cannot be read: {message}"),
        }
    }
}

impl std::error::Error for CellError {}

impl de::Error for CellError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::of(CellProblem::Other { message: message.to_string() })
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        // serde calls it a unit.
        let found = match found {
            Unexpected::Unit => "null".to_owned(),
            Unexpected::Map => "a struct".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            other => other.to_string(),
        };
        Self::of(CellProblem::Kind { expected: expected.to_string(), found })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::of(CellProblem::Missing).in_field(field)
    }
}

/// Deserializes a row as the API sends it: times are texts, and `NaN` is one, too.
pub(super) fn from_row<T: DeserializeOwned>(row: Row) -> Result<T, CellError> {
    T::deserialize(Cell(Value::Struct(row)))
}

/// A deserializer of one value.
struct Cell(Value);

impl<'de> Deserializer<'de> for Cell {
    type Error = CellError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CellError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(b) => visitor.visit_bool(b),
            Value::Int(n) => match (i64::try_from(n), u64::try_from(n)) {
                (Ok(n), _) => visitor.visit_i64(n),
                (_, Ok(n)) => visitor.visit_u64(n),
                _ => visitor.visit_i128(n),
            },
            Value::Float(x) => visitor.visit_f64(x),
            Value::String(text) => visitor.visit_string(text),
            Value::Timestamp(at) => visitor.visit_string(at.to_string()),
            Value::Media(_) => Err(de::Error::invalid_type(Unexpected::Other("media"), &visitor)),
            Value::List(items) => visitor.visit_seq(Items(items.into_iter())),
            Value::Struct(row) => visitor.visit_map(Fields { rest: row.into_iter(), next: None }),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CellError> {
        match non_finite(&self.0) {
            Some(x) => visitor.visit_f64(x),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CellError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CellError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, CellError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CellError> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(Variant { name, content: Value::Null }),
            Value::Struct(row) if row.len() == 1 => match row.into_iter().next() {
                Some((name, content)) => {
                    visitor.visit_enum(Variant { name: name.into_owned(), content })
                }
                None => Err(de::Error::invalid_type(Unexpected::Map, &visitor)),
            },
            other => Self(other).deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CellError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier
    }
}

/// Returns a float that JSON has no number for.
fn non_finite(value: &Value) -> Option<f64> {
    match value.as_str()? {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

struct Items(std::vec::IntoIter<Value>);

impl<'de> SeqAccess<'de> for Items {
    type Error = CellError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, CellError> {
        let item = self.0.next().map(|item| seed.deserialize(Cell(item)));
        item.transpose().map_err(CellError::in_list)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Fields {
    rest: <Row as IntoIterator>::IntoIter,
    next: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Fields {
    type Error = CellError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, CellError> {
        let Some((name, value)) = self.rest.next() else { return Ok(None) };
        let name = name.into_owned();
        let key = seed.deserialize(Cell(Value::String(name.clone())))?;
        self.next = Some((name, value));
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, CellError> {
        let Some((name, value)) = self.next.take() else {
            return Err(de::Error::custom("a value was asked for before its name"));
        };
        seed.deserialize(Cell(value)).map_err(|error| error.in_field(&name))
    }
}

struct Variant {
    name: String,
    content: Value,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = CellError;
    type Variant = Cell;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Cell), CellError> {
        let name: de::value::StringDeserializer<CellError> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Cell(self.content)))
    }
}

impl<'de> VariantAccess<'de> for Cell {
    type Error = CellError;

    fn unit_variant(self) -> Result<(), CellError> {
        de::Deserialize::deserialize(self)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, CellError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, CellError> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CellError> {
        self.deserialize_any(visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use streamtable_schema::{Timestamp, row};

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Shape {
        Point,
        Circle(f64),
        Pair(u8, u8),
        Rect { width: u8 },
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Meters(f64);

    #[derive(Debug, Deserialize, PartialEq)]
    struct All {
        path: String,
        ms: Option<Meters>,
        big: u64,
        shapes: Vec<Shape>,
        at: Timestamp,
        more: BTreeMap<String, (i8, bool)>,
        absent: Option<u8>,
        any: Value,
    }

    #[test]
    fn values_of_all_kinds_are_read() {
        let shapes: Vec<Value> = vec![
            "point".into(),
            row! { "circle" => "NaN" }.into(),
            row! { "pair" => [1, 2] }.into(),
            row! { "rect" => row! { "width" => 3 } }.into(),
        ];
        let row = row! {
            "_position" => 7,
            "path" => "/",
            "ms" => 7,
            "big" => u64::MAX,
            "shapes" => shapes,
            "at" => "1970-01-01T00:00:01.000000Z",
            "more" => row! { "a" => [Value::from(1), true.into()] },
            "any" => row! { "x" => [1.5] },
        };
        let all: All = from_row(row).unwrap();
        assert!(matches!(all.shapes[1], Shape::Circle(x) if x.is_nan()));
        assert_eq!(all.shapes[2..], [Shape::Pair(1, 2), Shape::Rect { width: 3 }]);
        assert_eq!((all.path.as_str(), all.ms, all.big), ("/", Some(Meters(7.0)), u64::MAX));
        assert_eq!((all.at, all.absent), (Timestamp::from_micros(1_000_000), None));
        assert_eq!((&all.more["a"], all.any), (&(1, true), row! { "x" => [1.5] }.into()));
        assert_eq!(
            from_row::<Row>(row! { "b" => 1, "a" => 2 }).unwrap(),
            row! { "b" => 1, "a" => 2 }
        );
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only errors are read")]
    struct Strict {
        n: u8,
        #[serde(default)]
        places: Vec<Place>,
        #[serde(default)]
        shape: Option<Shape>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only errors are read")]
    struct Place {
        x: f64,
    }

    #[track_caller]
    fn check(row: Row, expected: &str, column: &str) {
        let error = from_row::<Strict>(row).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.column()), (expected, column));
    }

    #[test]
    fn errors_name_the_column_and_what_was_found() {
        check(row! { "n" => "x" }, r#"column "n" is string "x", expected u8"#, "n");
        check(row! { "n" => 7.5 }, r#"column "n" is floating point `7.5`, expected u8"#, "n");
        check(row! { "n" => () }, r#"column "n" is null, expected u8"#, "n");
        check(row! { "n" => [1] }, r#"column "n" is a list, expected u8"#, "n");
        check(row! {}, r#"column "n" is missing: select it, or make the field optional"#, "n");
        let place = |x: Value| row! { "n" => 1, "places" => [row! { "x" => x }] };
        check(place("7".into()), r#"column "places[].x" is string "7", expected f64"#, "places");
        check(
            row! { "n" => 1, "places" => [row! {}] },
            r#"column "places[].x" is missing: select it, or make the field optional"#,
            "places",
        );
        check(
            row! { "n" => 300 },
            r#"column "n" cannot be read: invalid value: integer `300`, expected u8"#,
            "n",
        );
        check(
            row! { "n" => 1, "shape" => "cube" },
            "column \"shape\" cannot be read: unknown variant `cube`, expected one of `point`, \
             `circle`, `pair`, `rect`",
            "shape",
        );
    }
}
