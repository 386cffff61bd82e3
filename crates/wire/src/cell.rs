//! Timestamp and media cells, which plain JSON cannot express.

use streamtable_schema::{Media, MediaKind, Row, StoredFile, Timestamp, Type, Value};

use crate::json::{write_i64, write_plain, write_str};
use crate::weave_type::WeaveType;

/// The prefix of a weave cell's `_type`; the weave type follows as JSON text.
pub(crate) const WEAVE_PREFIX: &str = "_wt_::";

/// The weave type of timestamps, as every client writes it.
pub(crate) const TIMESTAMP: &str = r#"{"type": "timestamp"}"#;

/// The scheme of references to a run's files in cells of the legacy client.
const RUN_FILE: &str = "wandb-run-file://";

/// The weave type of the legacy client's images.
pub(crate) const PIL_IMAGE: &str = "pil_image";

/// The `_type` of the cell that holds several images.
pub(crate) const IMAGES: &str = "images/separated";

/// For each kind of media: the kind, the `_type` of its cell, and the folder of its files.
///
/// Source: protocol notes §9 for images and documents; the SDK's names for audio and video.
/// `markdown-file` is StreamTable's own, since the SDK has no such cell.
const MEDIA: [(MediaKind, &str, &str); 5] = [
    (MediaKind::Image, "image-file", "media/images"),
    (MediaKind::Audio, "audio-file", "media/audio"),
    (MediaKind::Video, "video-file", "media/videos"),
    (MediaKind::Html, "html-file", "media/html"),
    (MediaKind::Markdown, "markdown-file", "media/markdown"),
];

/// Returns the `_type` of the cell of a kind of media.
pub fn media_type(kind: MediaKind) -> &'static str {
    MEDIA[kind as usize].1
}

/// Returns the kind of media whose cell has this `_type`.
pub(crate) fn media_kind(ty: &str) -> Option<MediaKind> {
    MEDIA.iter().find_map(|(kind, name, _)| (*name == ty).then_some(*kind))
}

/// Returns the folder that stores files of a kind of media.
pub(crate) fn media_folder(kind: MediaKind) -> &'static str {
    MEDIA[kind as usize].2
}

/// Returns whether readers interpret a struct with this `_type` as a cell of the protocol.
pub(crate) fn is_reserved_type(text: &str) -> bool {
    text.starts_with(WEAVE_PREFIX)
        || text == "unknown"
        || text == IMAGES
        || media_kind(text).is_some()
}

/// Writes a timestamp: epoch milliseconds as every client of the protocol writes them, and a second
/// field with the remaining microseconds, if there are any.
///
/// The second field is StreamTable's own. Readers use only `_val`, and a non-integer there might
/// confuse them.
pub(crate) fn write_timestamp(out: &mut Vec<u8>, t: Timestamp) {
    out.extend_from_slice(INSTANT.as_bytes());
    write_i64(out, t.as_millis());
    let micros = t.as_micros().rem_euclid(1000);
    if micros != 0 {
        out.extend_from_slice(MICROS.as_bytes());
        write_i64(out, micros);
    }
    out.push(b'}');
}

/// The start of a timestamp as [`write_timestamp`] writes it.
const INSTANT: &str = r#"{"_type":"_wt_::{\"type\": \"timestamp\"}","_val":"#;

/// The text that it writes before the microseconds.
const MICROS: &str = r#","_micros":"#;

/// Fast path: reads a timestamp from the start of a text if it has exactly the form that
/// [`write_timestamp`] writes, and returns its length. Other clients write other forms, so `None`
/// does not mean that there is no timestamp.
pub(crate) fn instant(text: &str) -> Option<(Timestamp, usize)> {
    let rest = text.strip_prefix(INSTANT)?;
    let (millis, rest) = leading_integer(rest)?;
    let (micros, rest) = match rest.strip_prefix(MICROS) {
        Some(rest) => leading_integer(rest)?,
        None => (0, rest),
    };
    let rest = rest.strip_prefix('}')?;
    let at = millis.checked_mul(1000)?.checked_add(micros)?;
    Some((Timestamp::from_micros(at), text.len() - rest.len()))
}

/// Reads an integer in JSON syntax: no plus sign and no leading zeros.
fn leading_integer(text: &str) -> Option<(i64, &str)> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(text.len() - digits.len() + count);
    let is_canonical = number != "-0" && (count == 1 || !digits.starts_with('0'));
    Some((number.parse().ok().filter(|_| is_canonical)?, rest))
}

/// Writes a media cell whose file is stored.
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

/// Converts all cells in a JSON value, at any depth.
///
/// A struct that is not exactly a cell stays a struct, so that nothing is lost. Overlays of an
/// image (`boxes`, `masks`) have no equivalent in a table and are dropped.
pub(crate) fn read(value: Value) -> Value {
    match value {
        Value::List(items) => items.into_iter().map(read).collect(),
        Value::Struct(row) => match look(&row) {
            Some(Cell::Value(value)) => value,
            Some(Cell::Object) => inline_object(row),
            None => read_fields(row),
        },
        other => other,
    }
}

/// The meaning of a struct that is a cell.
enum Cell {
    Value(Value),
    /// A user-defined object, which is replaced by its fields.
    Object,
}

fn look(row: &Row) -> Option<Cell> {
    let ty = text(row, "_type")?;
    if let Some(weave) = ty.strip_prefix(WEAVE_PREFIX) {
        return look_at_weave(weave, row);
    }
    let value = match (ty, row.get("_val")) {
        ("unknown", Some(Value::Null)) if row.len() == 2 => Value::Null,
        (IMAGES, None) => read_images(row)?,
        (ty, None) => read_media(media_kind(ty)?, row)?.into(),
        _ => return None,
    };
    Some(Cell::Value(value))
}

fn look_at_weave(ty: &str, row: &Row) -> Option<Cell> {
    let held = row.get("_val")?;
    let instant = || Some(Cell::Value(read_timestamp(held, row)?.into()));
    if ty == TIMESTAMP {
        return instant();
    }
    let ty: WeaveType = ty.parse().ok()?;
    if ty.to_type() == Some(Type::Timestamp) {
        return instant();
    }
    match (&ty, held) {
        (WeaveType::Other { name, .. }, Value::String(reference)) if name == PIL_IMAGE => {
            Some(Cell::Value(read_pil_image(&ty, reference)?.into()))
        }
        (WeaveType::Other { .. }, Value::Struct(_)) if row.len() == 2 => Some(Cell::Object),
        _ => None,
    }
}

fn inline_object(row: Row) -> Value {
    match row.into_iter().find(|(name, _)| name == "_val") {
        Some((_, fields)) => read(fields),
        None => Value::Null,
    }
}

fn read_fields(row: Row) -> Value {
    Value::Struct(row.into_iter().map(|(name, value)| (name, read(value))).collect())
}

fn read_timestamp(held: &Value, row: &Row) -> Option<Timestamp> {
    let micros = match (held, row.get("_micros")) {
        (Value::Int(ms), None) if row.len() == 2 => ms.checked_mul(1000)?,
        (Value::Int(ms), Some(Value::Int(rest))) if row.len() == 3 => {
            ms.checked_mul(1000)?.checked_add(*rest)?
        }
        (Value::Float(ms), None) if row.len() == 2 && ms.is_finite() => {
            (ms * 1000.0).round() as i128
        }
        _ => return None,
    };
    Some(Timestamp::from_micros(i64::try_from(micros).ok()?))
}

fn read_pil_image(ty: &WeaveType, reference: &str) -> Option<Media> {
    let path = reference.strip_prefix(RUN_FILE)?.splitn(4, '/').nth(3)?;
    // The reference omits the file's extension.
    let file = StoredFile { path: format!("{path}.png"), ..file(path)? };
    let side = |key: &str| ty.const_int(key).and_then(|n| u32::try_from(n).ok());
    let dimensions = side("width").zip(side("height"));
    Media::stored(MediaKind::Image, "png", dimensions, file).ok()
}

fn read_media(kind: MediaKind, row: &Row) -> Option<Media> {
    let path = text(row, "path")?;
    let file = StoredFile {
        sha256: text(row, "sha256").map(str::to_owned),
        size: row.get("size").and_then(integer),
        ..file(path)?
    };
    let format = format(text(row, "format"), path)?;
    let media = Media::stored(kind, &format, dimensions(row), file).ok()?;
    Some(match text(row, "caption") {
        Some(caption) => media.with_caption(caption),
        None => media,
    })
}

/// Reads a cell that holds several images as a list of them.
fn read_images(row: &Row) -> Option<Value> {
    let Value::List(paths) = row.get("filenames")? else { return None };
    let captions = match row.get("captions") {
        Some(Value::List(captions)) => &captions[..],
        _ => &[],
    };
    let (given_format, dimensions) = (text(row, "format"), dimensions(row));
    let image = |(i, path): (usize, &Value)| -> Option<Value> {
        let Value::String(path) = path else { return None };
        let format = format(given_format, path)?;
        let media = Media::stored(MediaKind::Image, &format, dimensions, file(path)?).ok()?;
        Some(match captions.get(i) {
            Some(Value::String(caption)) => media.with_caption(caption).into(),
            _ => media.into(),
        })
    };
    paths.iter().enumerate().map(image).collect::<Option<Vec<_>>>().map(Value::List)
}

/// Returns the file at a path, unless the path leaves the folder of the table's files.
fn file(path: &str) -> Option<StoredFile> {
    is_plain_path(path).then(|| StoredFile { path: path.to_owned(), sha256: None, size: None })
}

pub(crate) fn is_plain_path(path: &str) -> bool {
    !path.contains(['\\', '\0']) && path.split('/').all(|step| !matches!(step, "" | "." | ".."))
}

fn format(given: Option<&str>, path: &str) -> Option<String> {
    let extension = || path.rsplit_once('.').map(|(_, extension)| extension);
    given.or_else(extension).map(str::to_ascii_lowercase)
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
