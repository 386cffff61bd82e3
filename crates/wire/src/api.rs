//! The native API for reading: paths, and rows and cells as JSON.
//!
//! | cell | JSON |
//! | --- | --- |
//! | integer | a number, always exact |
//! | float | a number, or one of the strings `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | timestamp | RFC 3339 in UTC, with microseconds |
//! | media | an object, `{"_type":"image-file","path":…}` |
//! | list, struct | an array, an object |
//! | cell of a column with several types | the value itself |

use std::io::Write;

use percent_encoding::utf8_percent_encode;
use streamtable_schema::{Media, MediaSource, Row, TIMESTAMP_COLUMN, TablePath, Timestamp, Value};

use crate::http::SEGMENT;
use crate::media_type;

/// The path to which SQL is posted.
pub const QUERY_PATH: &str = "/api/query";

/// The content type of rows, one JSON object per line.
pub const ROWS_TYPE: &str = "application/x-ndjson";

/// The content type of server-sent events.
pub const EVENTS_TYPE: &str = "text/event-stream";

/// The header with the position after a table's last row.
pub const STREAM_END: &str = "stream-end";

/// The header with the writer of the rows in a body; together with [`STREAM_OFFSET`] makes repeated
/// requests idempotent.
pub const STREAM_WRITER: &str = "stream-writer";

/// The header with the line number of a body's first row.
pub const STREAM_OFFSET: &str = "stream-offset";

/// The cell with a row's position.
pub const POSITION: &str = "_position";

/// Returns the path of a table.
///
/// ```
/// use streamtable_schema::TablePath;
/// use streamtable_wire::api;
///
/// let table = TablePath::new("me", "my shop", "t")?;
/// assert_eq!(api::table_path(&table), "/api/tables/me/my%20shop/t");
/// # Ok::<(), streamtable_schema::NameError>(())
/// ```
pub fn table_path(table: &TablePath) -> String {
    let [entity, project, name] = [table.entity(), table.project(), table.table()]
        .map(|segment| utf8_percent_encode(segment, SEGMENT));
    format!("/api/tables/{entity}/{project}/{name}")
}

/// Returns the path to which rows are posted.
pub fn append_path(table: &TablePath) -> String {
    format!("{}/rows", table_path(table))
}

/// Returns the path of at most `limit` rows. A negative position counts from the end.
pub fn rows_path(table: &TablePath, from: i64, limit: u64) -> String {
    format!("{}/rows?from={from}&limit={limit}", table_path(table))
}

/// Returns the path of the rows from a position on, including those that are logged later; without
/// a position, only those.
pub fn tail_path(table: &TablePath, from: Option<i64>) -> String {
    let from = from.map_or(String::new(), |from| format!("?from={from}"));
    format!("{}/tail{from}", table_path(table))
}

/// The fields of a stored row besides its cells.
#[derive(Clone, Copy, Debug)]
pub struct RowHead<'a> {
    /// The row's position in its table.
    pub position: u64,
    /// The id of its writer.
    pub writer: &'a str,
    /// Its number among the writer's lines.
    pub line: u64,
    /// Its step, if the client counts steps.
    pub step: Option<i64>,
    /// When it was logged.
    pub logged_at: Timestamp,
}

/// Writes a row as one JSON object without a line end: position, writer, line and time, then the
/// cells. The time is `_timestamp` if the row has another cell `timestamp`.
pub fn write_row(out: &mut Vec<u8>, head: RowHead<'_>, row: &Row) {
    let RowHead { position, writer, line, step, logged_at } = head;
    // Writing to a vector cannot fail.
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

/// Writes a cell.
pub fn write_value(out: &mut Vec<u8>, value: &Value) {
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
        Value::Struct(fields) => write_fields(out, fields),
    }
}

/// Writes cells as one JSON object.
pub fn write_fields(out: &mut Vec<u8>, fields: &Row) {
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

/// Writes a JSON string.
pub fn write_str(out: &mut Vec<u8>, text: &str) {
    // Writing to a vector cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// Writes a number. `NaN` and the infinities are written as strings.
pub fn write_f64(out: &mut Vec<u8>, x: f64) {
    if x.is_finite() {
        let _ = serde_json::to_writer(out, &x);
    } else {
        write_non_finite(out, x);
    }
}

/// Writes `NaN` or an infinity.
pub fn write_non_finite(out: &mut Vec<u8>, x: f64) {
    out.extend_from_slice(if x.is_nan() {
        b"\"NaN\""
    } else if x > 0.0 {
        b"\"Infinity\""
    } else {
        b"\"-Infinity\""
    });
}

/// Writes an instant, given in microseconds since 1970.
pub fn write_instant(out: &mut Vec<u8>, micros: i64) {
    /// RFC 3339 has no form for years after 9999.
    const FORMATTED: std::ops::Range<i64> = -377_705_116_800_000_000..253_402_300_800_000_000;

    let _ = match FORMATTED.contains(&micros) {
        true => write!(out, "\"{:.6}\"", Timestamp::from_micros(micros)),
        false => write!(out, "{micros}"),
    };
}

#[cfg(test)]
mod tests {
    use streamtable_schema::{MediaKind, StoredFile, row};

    use super::*;

    #[test]
    fn paths() {
        let table = TablePath::new("me", "a", "t").unwrap();
        assert_eq!(rows_path(&table, -10, 7), "/api/tables/me/a/t/rows?from=-10&limit=7");
        assert_eq!(append_path(&table), "/api/tables/me/a/t/rows");
        assert_eq!(tail_path(&table, Some(0)), "/api/tables/me/a/t/tail?from=0");
        assert_eq!(tail_path(&table, None), "/api/tables/me/a/t/tail");
    }

    #[track_caller]
    fn check(row: Row, cells: &str) {
        let logged_at = Timestamp::from_micros(1_500_000);
        let head = RowHead { position: 7, writer: "w\"", line: 3, step: None, logged_at };
        let mut out = Vec::new();
        write_row(&mut out, head, &row);
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
