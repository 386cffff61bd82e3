//! Conversion of attributes to cells.
//!
//! Attributes of one name may have values of any kind. Scalars of all kinds fit one column, but a list or
//! a struct does not fit a column of scalars. So lists and maps become JSON text, and no row is refused
//! because of its attributes.

use opentelemetry::logs::AnyValue;
use opentelemetry::{Array, Value as OtelValue};
use streamtable::{Row, Value};

/// Returns the cell of an attribute of a span.
pub(crate) fn cell(value: &OtelValue) -> Value {
    match value {
        OtelValue::Bool(b) => (*b).into(),
        OtelValue::I64(n) => (*n).into(),
        OtelValue::F64(x) => (*x).into(),
        OtelValue::String(text) => text.as_str().into(),
        OtelValue::Array(Array::Bool(items)) => json(&items.clone().into()),
        OtelValue::Array(Array::I64(items)) => json(&items.clone().into()),
        OtelValue::Array(Array::F64(items)) => json(&items.clone().into()),
        OtelValue::Array(Array::String(items)) => {
            json(&items.iter().map(|text| text.as_str()).collect())
        }
        // The enum may grow.
        other => other.to_string().into(),
    }
}

/// Returns the cell of an attribute or the body of a log record.
pub(crate) fn any_cell(value: &AnyValue) -> Value {
    match nested(value) {
        value @ (Value::List(_) | Value::Struct(_)) => json(&value),
        value => value,
    }
}

/// Returns a struct of attributes, or null if there are none.
pub(crate) fn attributes(attributes: impl Iterator<Item = (String, Value)>) -> Value {
    let row: Row = attributes.collect();
    if row.is_empty() { Value::Null } else { row.into() }
}

fn nested(value: &AnyValue) -> Value {
    match value {
        AnyValue::Int(n) => (*n).into(),
        AnyValue::Double(x) => (*x).into(),
        AnyValue::String(text) => text.as_str().into(),
        AnyValue::Boolean(b) => (*b).into(),
        AnyValue::Bytes(bytes) => {
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
        }
        AnyValue::ListAny(items) => items.iter().map(nested).collect(),
        AnyValue::Map(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| key.as_str());
            let fields = fields.into_iter().map(|(key, value)| (key.to_string(), nested(value)));
            Value::Struct(fields.collect())
        }
        // The enum may grow.
        other => format!("{other:?}").into(),
    }
}

/// Returns JSON text.
fn json(value: &Value) -> Value {
    // JSON has a form for every list and struct made here; NaN becomes null.
    serde_json::to_string(value).map_or(Value::Null, Value::from)
}
