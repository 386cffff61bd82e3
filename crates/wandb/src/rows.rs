//! Rows in the form that W&B clients expect.

use async_graphql::{Name, Value as Json};
use streamtable_schema::{Row, Value};
use streamtable_store::ReadRow;
use streamtable_wire::write_cell;

/// Converts a row to a history line: its cells, then the protocol's own fields. `NaN` and the
/// infinities are bare words, as W&B clients write them.
pub(crate) fn history_line(row: &ReadRow, step: i64, with_writer: bool) -> String {
    let mut out = b"{".to_vec();
    let mut cell = |name: &str, value: &Value| {
        if out.len() > 1 {
            out.push(b',');
        }
        write_cell(&mut out, &Value::String(name.to_owned()));
        out.push(b':');
        write_cell(&mut out, value);
    };
    for (name, value) in row.row.cells() {
        cell(name, value);
    }
    if with_writer {
        cell("_client_id", &Value::String(row.writer.clone()));
    }
    if let Some(runtime) = row.runtime {
        cell("_runtime", &Value::Float(runtime));
    }
    cell("_timestamp", &Value::Float(seconds(row)));
    cell("_step", &Value::from(step));
    out.push(b'}');
    String::from_utf8(out).expect("cells are written as UTF-8")
}

/// Returns the cell with the given name, or the protocol's own field of that name.
pub(crate) fn cell_of(row: &ReadRow, name: &str, step: i64) -> Option<Value> {
    match name {
        "_step" => Some(Value::from(step)),
        "_timestamp" => Some(Value::Float(seconds(row))),
        "_runtime" if row.row.get(name).is_none() => row.runtime.map(Value::Float),
        name => row.row.get(name).or_else(|| field_of(&row.row, name)).cloned(),
    }
}

/// Returns a field of a struct, by its dotted name. A dot of a name has a backslash before it, which
/// may be left out.
fn field_of<'a>(row: &'a Row, name: &str) -> Option<&'a Value> {
    if let Some(value) = row.get(&name.replace(r"\.", ".")) {
        return Some(value);
    }
    name.match_indices('.').find_map(|(dot, _)| {
        match row.get(&name[..dot].replace(r"\.", "."))? {
            Value::Struct(fields) => field_of(fields, &name[dot + 1..]),
            _ => None,
        }
    })
}

fn seconds(row: &ReadRow) -> f64 {
    row.logged_at.as_micros() as f64 / 1e6
}

fn cell_json(value: &Value) -> String {
    let mut out = Vec::new();
    write_cell(&mut out, value);
    String::from_utf8(out).expect("cells are written as UTF-8")
}

/// Converts a cell to strict JSON. `NaN` and the infinities become strings.
pub(crate) fn cell_to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(b) => Json::Boolean(*b),
        Value::Int(n) => match i64::try_from(*n) {
            Ok(n) => Json::from(n),
            Err(_) => Json::from(*n as f64),
        },
        Value::Float(x) if x.is_finite() => Json::from(*x),
        Value::Float(x) if x.is_nan() => Json::from("NaN"),
        Value::Float(x) => Json::from(if *x > 0.0 { "Infinity" } else { "-Infinity" }),
        Value::String(text) => Json::from(text.as_str()),
        Value::List(items) => Json::List(items.iter().map(cell_to_json).collect()),
        Value::Struct(row) => Json::Object(
            row.cells().map(|(name, value)| (Name::new(name), cell_to_json(value))).collect(),
        ),
        // These kinds are written as strict JSON, which `serde_json` can parse.
        Value::Timestamp(_) | Value::Media(_) => {
            let json = serde_json::from_str(&cell_json(value)).unwrap_or_default();
            Json::from_json(json).unwrap_or_default()
        }
    }
}

/// Parses JSON as W&B clients write it, where `NaN` and the infinities are bare words. They become
/// strings.
pub(crate) fn parse_json(text: &str) -> Option<serde_json::Value> {
    streamtable_wire::json::parse(text).ok().map(plain)
}

fn plain(value: Value) -> serde_json::Value {
    use serde_json::Value as Plain;
    match value {
        Value::Bool(b) => b.into(),
        Value::Int(n) => match (i64::try_from(n), u64::try_from(n)) {
            (Ok(n), _) => n.into(),
            (_, Ok(n)) => n.into(),
            _ => (n as f64).into(),
        },
        Value::Float(x) if x.is_finite() => x.into(),
        Value::Float(x) if x.is_nan() => "NaN".into(),
        Value::Float(x) => if x > 0.0 { "Infinity" } else { "-Infinity" }.into(),
        Value::String(text) => text.into(),
        Value::List(items) => items.into_iter().map(plain).collect(),
        Value::Struct(row) => {
            let cells = row.cells().map(|(name, value)| (name.to_owned(), plain(value.clone())));
            Plain::Object(cells.collect())
        }
        // Plain JSON has no cells of the other kinds.
        Value::Null | Value::Timestamp(_) | Value::Media(_) => Plain::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_clients_may_have_numbers_that_are_none() {
        let json = parse_json(r#"{"a":[NaN,-Infinity,1],"b":{"c":18446744073709551615,"d":null}}"#);
        let expected = serde_json::json!({
            "a": ["NaN", "-Infinity", 1], "b": { "c": u64::MAX, "d": null } });
        assert_eq!(json, Some(expected));
        assert_eq!(parse_json("{"), None);
    }

    #[test]
    fn fields_are_found_by_their_dotted_names() {
        let inner: Row = [("c.d".to_owned(), Value::from(1))].into_iter().collect();
        let inner: Row = [("b".to_owned(), Value::Struct(inner))].into_iter().collect();
        let row: Row = [("a".to_owned(), Value::Struct(inner))].into_iter().collect();
        for (name, expected) in [
            ("a.b.c.d", Some(1)),
            (r"a.b.c\.d", Some(1)),
            ("a.b.c", None),
            ("a.x", None),
            ("x.b", None),
            ("a.", None),
        ] {
            assert_eq!(field_of(&row, name), expected.map(Value::from).as_ref(), "{name}");
        }
    }
}
