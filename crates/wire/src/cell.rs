//! Cells that plain JSON has no word for: instants and media.

use streamtable_schema::{Media, MediaKind, Row, StoredFile, Timestamp, Value};

use crate::json::{write_i64, write_plain, write_str};
use crate::weave_type::WeaveType;

/// How a weave cell's `_type` begins; the type follows as JSON text.
const WEAVE_PREFIX: &str = "_wt_::";

/// The scheme and the rest of a reference to a run's file in the legacy client's cells.
const RUN_FILE: &str = "wandb-run-file://";

/// Each kind of media, the `_type` of its cell, and the folder of its files.
///
/// Source: protocol notes §9 for images and documents; sound and films as the SDK names them;
/// `markdown-file` is ours, since the SDK has no such cell.
const MEDIA: [(MediaKind, &str, &str); 5] = [
    (MediaKind::Image, "image-file", "media/images"),
    (MediaKind::Audio, "audio-file", "media/audio"),
    (MediaKind::Video, "video-file", "media/videos"),
    (MediaKind::Html, "html-file", "media/html"),
    (MediaKind::Markdown, "markdown-file", "media/markdown"),
];

/// Returns the `_type` of the cell of a kind of media.
pub(crate) fn media_type(kind: MediaKind) -> &'static str {
    MEDIA[kind as usize].1
}

/// Returns the kind of media whose cell has this `_type`.
pub(crate) fn media_kind(ty: &str) -> Option<MediaKind> {
    MEDIA.iter().find_map(|(kind, name, _)| (*name == ty).then_some(*kind))
}

/// Returns the folder in which files of a kind of media lie.
pub(crate) fn media_folder(kind: MediaKind) -> &'static str {
    MEDIA[kind as usize].2
}

/// Tells whether a reader takes a struct whose `_type` is this text for a cell of the protocol's
/// own.
pub(crate) fn is_reserved_type(text: &str) -> bool {
    text.starts_with(WEAVE_PREFIX)
        || text == "unknown"
        || text == "images/separated"
        || media_kind(text).is_some()
}

/// Writes an instant: epoch milliseconds as every client of the protocol has them, and beside
/// them the microseconds that are left, where there are any.
///
/// The second number is ours: readers look at `_val` alone, and one that is no integer might
/// confuse them.
pub(crate) fn write_timestamp(out: &mut Vec<u8>, t: Timestamp) {
    out.extend_from_slice(br#"{"_type":"_wt_::{\"type\": \"timestamp\"}","_val":"#);
    write_i64(out, t.as_millis());
    let micros = t.as_micros().rem_euclid(1000);
    if micros != 0 {
        out.extend_from_slice(br#","_micros":"#);
        write_i64(out, micros);
    }
    out.push(b'}');
}

/// Writes a media cell whose file has its place.
pub(crate) fn write_media(out: &mut Vec<u8>, media: &Media, file: &StoredFile) {
    let mut field = |name: &str, text: &str| {
        out.push(if name == "_type" { b'{' } else { b',' });
        write_str(out, name);
        out.push(b':');
        write_str(out, text);
    };
    field("_type", media_type(media.kind()));
    field("path", &file.path);
    if let Some(sha256) = &file.sha256 {
        field("sha256", sha256);
    }
    field("format", media.format());
    if let Some(caption) = media.caption() {
        field("caption", caption);
    }
    if let Some(size) = file.size {
        write_plain(out, format_args!(r#","size":{size}"#));
    }
    if let Some((width, height)) = media.dimensions() {
        write_plain(out, format_args!(r#","width":{width},"height":{height}"#));
    }
    out.push(b'}');
}

/// Reads the cells in a value that came as JSON, however deep they lie.
///
/// What only looks like a cell stays the struct that it is, so that nothing of it is lost.
pub(crate) fn read(value: Value) -> Value {
    match value {
        Value::List(items) => items.into_iter().map(read).collect(),
        Value::Struct(row) => match read_cell(&row) {
            Some(value) => value,
            None => Value::Struct(row.into_iter().map(|(name, v)| (name, read(v))).collect()),
        },
        other => other,
    }
}

fn read_cell(row: &Row) -> Option<Value> {
    let ty = text(row, "_type")?;
    if let Some(weave) = ty.strip_prefix(WEAVE_PREFIX) {
        return read_weave(weave, row);
    }
    match (ty, row.get("_val")) {
        ("unknown", Some(Value::Null)) if row.len() == 2 => Some(Value::Null),
        ("images/separated", None) => read_images(row),
        (ty, None) => read_media(media_kind(ty)?, row),
        _ => None,
    }
}

fn read_weave(ty: &str, row: &Row) -> Option<Value> {
    let ty: WeaveType = ty.parse().ok()?;
    match (&ty, row.get("_val")?) {
        (WeaveType::Timestamp, Value::Int(ms)) => {
            let rest = row.get("_micros").and_then(integer::<i128>).unwrap_or(0);
            let micros = ms.checked_mul(1000)?.checked_add(rest)?;
            Some(Timestamp::from_micros(i64::try_from(micros).ok()?).into())
        }
        (WeaveType::Timestamp, Value::Float(ms)) => {
            let micros = (ms * 1000.0).round();
            (micros.abs() < 9.2e18).then(|| Timestamp::from_micros(micros as i64).into())
        }
        (WeaveType::Other { name, .. }, Value::String(reference)) if name == "pil_image" => {
            let path = reference.strip_prefix(RUN_FILE)?.splitn(4, '/').nth(3)?;
            let side = |key: &str| ty.const_int(key).and_then(|n| u32::try_from(n).ok());
            // The reference leaves out the suffix that the file has.
            let file = StoredFile { path: format!("{path}.png"), sha256: None, size: None };
            let dimensions = side("width").zip(side("height"));
            Some(Media::stored(MediaKind::Image, "png", dimensions, file).ok()?.into())
        }
        // An object travels inline; its fields are all there is to it.
        (WeaveType::Other { .. }, Value::Struct(fields)) => {
            Some(Value::Struct(fields.clone().into_iter().map(|(n, v)| (n, read(v))).collect()))
        }
        _ => None,
    }
}

fn read_media(kind: MediaKind, row: &Row) -> Option<Value> {
    let path = text(row, "path")?;
    let file = StoredFile {
        path: path.to_owned(),
        sha256: text(row, "sha256").map(str::to_owned),
        size: row.get("size").and_then(integer),
    };
    let media = Media::stored(kind, format(row, path)?, dimensions(row), file).ok()?;
    Some(match text(row, "caption") {
        Some(caption) => media.with_caption(caption).into(),
        None => media.into(),
    })
}

/// Reads the cell that holds several images at once: a list of them.
fn read_images(row: &Row) -> Option<Value> {
    let Value::List(paths) = row.get("filenames")? else { return None };
    let image = |path: &Value| -> Option<Value> {
        let Value::String(path) = path else { return None };
        let file = StoredFile { path: path.clone(), sha256: None, size: None };
        let media = Media::stored(MediaKind::Image, format(row, path)?, dimensions(row), file);
        Some(media.ok()?.into())
    };
    paths.iter().map(image).collect::<Option<Vec<_>>>().map(Value::List)
}

fn format<'a>(row: &'a Row, path: &'a str) -> Option<&'a str> {
    text(row, "format").or_else(|| Some(path.rsplit_once('.')?.1))
}

fn dimensions(row: &Row) -> Option<(u32, u32)> {
    let side = |name| row.get(name).and_then(integer);
    side("width").zip(side("height"))
}

fn text<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    match row.get(name)? {
        Value::String(s) => Some(s),
        _ => None,
    }
}

fn integer<T: TryFrom<i128>>(value: &Value) -> Option<T> {
    match value {
        Value::Int(n) => T::try_from(*n).ok(),
        _ => None,
    }
}
