//! JSON encoding of rows read from the store.

use std::io::Write;

use streamtable_schema::{Media, MediaSource, TIMESTAMP_COLUMN, Value};
use streamtable_store::ReadRow;
use streamtable_wire::media_type;

use super::{write_f64, write_instant, write_str};

/// Writes a row as one JSON object without a line end: position, writer, line and time, then the
/// cells in the order of the table's columns. The time is `_timestamp` if the row has another cell
/// `timestamp`.
pub fn write_row(out: &mut Vec<u8>, row: &ReadRow) {
    let ReadRow { position, writer, line, logged_at, step, row, .. } = row;
    let _ = write!(out, r#"{{"_position":{position},"_writer":"#);
    write_str(out, writer);
    let _ = write!(out, r#","_line":{line}"#);
    if let Some(step) = step {
        let _ = write!(out, r#","_step":{step}"#);
    }
    let is_time = matches!(row.get(TIMESTAMP_COLUMN), None | Some(Value::Timestamp(_)));
    out.extend_from_slice(if is_time { br#","timestamp":"# } else { br#","_timestamp":"# });
    write_instant(out, logged_at.as_micros());
    for (name, value) in row.cells() {
        let is_written = name == if is_time { TIMESTAMP_COLUMN } else { "_timestamp" };
        if is_written || matches!(name, "_position" | "_writer" | "_line" | "_step") {
            continue;
        }
        out.push(b',');
        write_str(out, name);
        out.push(b':');
        write_value(out, value);
    }
    out.push(b'}');
}

pub(super) fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(n) => {
            let _ = write!(out, "{n}");
        }
        Value::Float(x) => write_f64(out, *x),
        Value::String(text) => write_str(out, text),
        Value::Timestamp(t) => write_instant(out, t.as_micros()),
        Value::Media(media) => write_media(out, media),
        Value::List(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_value(out, item);
            }
            out.push(b']');
        }
        Value::Struct(fields) => {
            out.push(b'{');
            for (i, (name, value)) in fields.cells().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_str(out, name);
                out.push(b':');
                write_value(out, value);
            }
            out.push(b'}');
        }
    }
}

fn write_media(out: &mut Vec<u8>, media: &Media) {
    out.extend_from_slice(br#"{"_type":"#);
    write_str(out, media_type(media.kind()));
    let mut text = |name: &str, text: Option<&str>| {
        if let Some(text) = text {
            let _ = write!(out, ",\"{name}\":");
            write_str(out, text);
        }
    };
    let file = match media.source() {
        MediaSource::Stored(file) => Some(file),
        MediaSource::Bytes(_) | MediaSource::Path(_) => None,
    };
    text("path", file.map(|file| file.path.as_str()));
    text("sha256", file.and_then(|file| file.sha256.as_deref()));
    text("format", Some(media.format()));
    text("caption", media.caption());
    if let Some(size) = file.and_then(|file| file.size) {
        let _ = write!(out, r#","size":{size}"#);
    }
    if let Some((width, height)) = media.dimensions() {
        let _ = write!(out, r#","width":{width},"height":{height}"#);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use streamtable_schema::{MediaKind, Row, StoredFile, Timestamp, row};

    use super::*;

    #[track_caller]
    fn check(row: Row, cells: &str) {
        let row = ReadRow {
            position: 7,
            writer: "w\"".into(),
            line: 3,
            logged_at: Timestamp::from_micros(1_500_000),
            step: None,
            runtime: None,
            row,
        };
        let mut out = Vec::new();
        write_row(&mut out, &row);
        let text = String::from_utf8(out).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
        let rest = text.strip_prefix(r#"{"_position":7,"_writer":"w\"","_line":3,"#);
        assert_eq!(rest, Some(cells));
    }

    #[test]
    fn cells_are_encoded() {
        check(row! {}, r#""timestamp":"1970-01-01T00:00:01.500000Z"}"#);
        check(
            row! { "_writer" => "me", "timestamp" => "noon" },
            r#""_timestamp":"1970-01-01T00:00:01.500000Z","timestamp":"noon"}"#,
        );
        let t = Timestamp::from_micros;
        check(
            row! { "a" => t(1), "timestamp" => t(1_500_000), "b" => t(i64::MAX) },
            r#""timestamp":"1970-01-01T00:00:01.500000Z","a":"1970-01-01T00:00:00.000001Z","b":9223372036854775807}"#,
        );
        let noon = "timestamp";
        check(
            row! { noon => (), "i" => i128::MAX, "x" => 1.0, "y" => 1e300, "z" => -0.0, "b" => true },
            r#""_timestamp":"1970-01-01T00:00:01.500000Z","timestamp":null,"i":170141183460469231731687303715884105727,"x":1.0,"y":1e+300,"z":-0.0,"b":true}"#,
        );
        check(
            row! { noon => (), "f" => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] },
            r#""_timestamp":"1970-01-01T00:00:01.500000Z","timestamp":null,"f":["NaN","Infinity","-Infinity"]}"#,
        );
        check(
            row! { noon => (), "é\n" => row! { "a" => [row! {}], "b" => false } },
            r#""_timestamp":"1970-01-01T00:00:01.500000Z","timestamp":null,"é\n":{"a":[{}],"b":false}}"#,
        );
    }

    #[test]
    fn media_cells_are_encoded() {
        let file = StoredFile { path: "media/images/a.png".into(), sha256: None, size: None };
        let full = StoredFile { sha256: Some("00".into()), size: Some(9), ..file.clone() };
        let image = |file| Media::stored(MediaKind::Image, "png", Some((2, 3)), file).unwrap();
        check(
            row! { "timestamp" => (), "a" => image(file), "b" => image(full).with_caption("c") },
            concat!(
                r#""_timestamp":"1970-01-01T00:00:01.500000Z","timestamp":null,"a":{"_type":"image-file","path":"media/images/a.png","format":"png","width":2,"height":3},"#,
                r#""b":{"_type":"image-file","path":"media/images/a.png","sha256":"00","format":"png","caption":"c","size":9,"width":2,"height":3}}"#,
            ),
        );
    }
}
