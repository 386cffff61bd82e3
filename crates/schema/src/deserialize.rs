//! Deserialization of values and rows from any format.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::serialize::JSON_NUMBER;
use crate::{Row, Value};

impl<'de> Deserialize<'de> for Value {
    /// Deserializes a value of any kind. Formats such as JSON have no timestamps and no media: they
    /// become strings and structs.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

impl<'de> Deserialize<'de> for Row {
    /// Deserializes a map, in its order.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnyRow)
    }
}

struct AnyValue;

macro_rules! visits {
    ($($method:ident: $type:ty)*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<Value, E> {
            Ok(value.into())
        }
    )*};
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    visits! {
        visit_bool: bool
        visit_i64: i64 visit_i128: i128 visit_u64: u64
        visit_f64: f64
        visit_str: &str visit_string: String
    }

    fn visit_u128<E: Error>(self, n: u128) -> Result<Value, E> {
        i128::try_from(n).map(Value::Int).map_err(E::custom)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Value, A::Error> {
        let row = AnyRow.visit_map(fields)?;
        Ok(json_number(&row).unwrap_or(Value::Struct(row)))
    }
}

/// Returns the number that a struct represents, if a dependency has enabled `arbitrary_precision` of
/// serde_json. The result is the same as without that feature.
fn json_number(row: &Row) -> Option<Value> {
    let mut cells = row.cells();
    let (Some((JSON_NUMBER, Value::String(text))), None) = (cells.next(), cells.next()) else {
        return None;
    };
    let int = text
        .parse::<i128>()
        .ok()
        .filter(|&n| text != "-0" && (i64::try_from(n).is_ok() || u64::try_from(n).is_ok()));
    int.map(Value::Int).or_else(|| text.parse().ok().map(Value::Float))
}

struct AnyRow;

impl<'de> Visitor<'de> for AnyRow {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Row, A::Error> {
        let mut row = Row::new();
        while let Some((name, value)) = fields.next_entry::<String, Value>()? {
            row.push(name, value);
        }
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Row, Value, row};

    #[test]
    fn rows_are_read_from_json() {
        let expected = row! { "b" => 1, "a" => [Value::from(1.5), Value::Null, "x".into()],
        "c" => row! { "ok" => true, "n" => u64::MAX } };
        let json = serde_json::to_string(&expected).unwrap();
        assert_eq!(serde_json::from_str::<Row>(&json).unwrap(), expected);
        assert_eq!(serde_json::from_str::<Value>("-7").unwrap(), Value::Int(-7));
        assert_eq!(serde_json::from_str::<Value>("1e3").unwrap(), Value::Float(1000.0));
        let long = serde_json::from_str::<Value>("100000000000000000000").unwrap();
        assert_eq!(long, Value::Float(1e20));
        let error = serde_json::from_str::<Row>("[1]").unwrap_err().to_string();
        assert!(error.contains("expected a row"), "{error}");
    }
}
