//! The newest values of columns.

use streamtable_schema::{Row, Value};

use super::{ColumnKeys, TypeCount, columns};

/// Longer texts are left out.
const MAX_TEXT_BYTES: usize = 128;

/// Collects the scalars of a row, those of structs under dotted names that begin with `prefix`.
pub(super) fn scalars(row: &Row, prefix: &str, room: usize, found: &mut Vec<(String, Value)>) {
    for (name, value) in row.cells() {
        let name = format!("{prefix}{}", columns::escape(name));
        match value {
            Value::Struct(fields) if room > 0 => {
                scalars(fields, &format!("{name}."), room - 1, found);
            }
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_) => {
                found.push((name, value.clone()));
            }
            _ => {}
        }
    }
}

/// Describes a scalar, without its value.
pub(super) fn described(value: &Value) -> ColumnKeys {
    let name = match value {
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Float(_) => "number",
        Value::String(_) => "string",
        _ => "nil",
    };
    ColumnKeys { type_counts: vec![TypeCount::named(name)], previous_value: None }
}

/// Returns a scalar as JSON, if it has an exact form and is short.
pub(super) fn json(value: &Value) -> Option<serde_json::Value> {
    match value {
        Value::Bool(b) => Some((*b).into()),
        Value::Int(n) => i64::try_from(*n).ok().map(Into::into),
        Value::Float(x) => serde_json::Number::from_f64(*x).map(Into::into),
        Value::String(text) if text.len() <= MAX_TEXT_BYTES => Some(text.as_str().into()),
        _ => None,
    }
}
