//! Rows in the form that W&B clients expect.

use async_graphql::{Name, Value as Json};
use streamtable_schema::{MediaKind, MediaSource, Row, Value};
use streamtable_store::ReadRow;
use streamtable_wire::write_cell;

/// The `_type` of the SDK's object for several images.
const IMAGES: &str = "images/separated";

/// Converts a row to a history line: its cells, then the protocol's own fields. `NaN` and the
/// infinities are bare words, as W&B clients write them. Rows of the SDK have steps of their own,
/// others name their writer.
pub(crate) fn history_line(row: &ReadRow, step: i64, is_of_sdk: bool) -> String {
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
        match as_logged(value).filter(|_| is_of_sdk) {
            Some(value) => cell(name, &value),
            None => cell(name, value),
        }
    }
    if !is_of_sdk {
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

/// Returns the form in which the SDK logs a cell, if it is not the stored one: the SDK logs a list of
/// images as one object.
pub(crate) fn as_logged(value: &Value) -> Option<Value> {
    match value {
        Value::List(items) => as_images(items),
        Value::Struct(row) if row.cells().any(|(_, value)| as_logged(value).is_some()) => {
            let cells = row.cells().map(|(name, value)| {
                (name.to_owned(), as_logged(value).unwrap_or_else(|| value.clone()))
            });
            Some(Value::Struct(cells.collect()))
        }
        _ => None,
    }
}

/// Returns the SDK's object for several images, which have one format and one size.
fn as_images(items: &[Value]) -> Option<Value> {
    let Value::Media(first) = items.first()? else { return None };
    let (format, dimensions) = (first.format(), first.dimensions());
    let (mut files, mut captions) = (Vec::new(), Vec::new());
    for item in items {
        let Value::Media(media) = item else { return None };
        let MediaSource::Stored(file) = media.source() else { return None };
        let is_like = media.kind() == MediaKind::Image
            && (media.format(), media.dimensions()) == (format, dimensions);
        if !is_like {
            return None;
        }
        files.push(Value::from(file.path.as_str()));
        captions.push(media.caption().map_or(Value::Null, Value::from));
    }
    let mut cells = vec![
        ("_type", Value::from(IMAGES)),
        ("count", Value::Int(files.len() as i128)),
        ("format", Value::from(format)),
    ];
    if let Some((width, height)) = dimensions {
        cells.push(("width", Value::Int(width.into())));
        cells.push(("height", Value::Int(height.into())));
    }
    cells.push(("filenames", Value::List(files)));
    if captions.iter().any(|caption| *caption != Value::Null) {
        cells.push(("captions", Value::List(captions)));
    }
    let cells = cells.into_iter().map(|(name, value)| (name.to_owned(), value));
    Some(Value::Struct(cells.collect()))
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
    fn images_are_returned_as_the_sdk_logs_them() {
        let logged = r#"{"_type":"images/separated","count":2,"format":"png","width":6,"height":4,"filenames":["media/images/a.png","media/images/b.png"],"captions":["one",null]}"#;
        let plain = r#"{"_type":"images/separated","count":1,"format":"png","width":6,"height":4,"filenames":["media/images/a.png"]}"#;
        for text in [logged.to_owned(), plain.to_owned(), format!(r#"{{"in":{plain},"n":1}}"#)] {
            let stored = streamtable_wire::read_cell(&text).unwrap();
            assert_eq!(cell_json(&as_logged(&stored).unwrap()), text);
        }
        for text in ["[]", "[1]", r#"{"a":1}"#, r#"{"_type":"image-file","path":"a.png"}"#] {
            assert_eq!(as_logged(&streamtable_wire::read_cell(text).unwrap()), None, "{text}");
        }
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
