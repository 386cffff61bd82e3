//! Encoding of rows.

use streamtable_schema::{Media, MediaSource, Row, TIMESTAMP_COLUMN, Value};

use super::input::{write_text, write_varint};
use super::shape::{MAX_REPETITION, flag, tag};
use super::{BinaryError, MARK};
use crate::cell::media_folder;
use crate::{HistoryLine, is_added_time};

/// Appends a row as one binary line. The writer is no part of it.
///
/// Fails if the row has media that are not stored; then `out` is unchanged. The names of the cells must
/// be distinct, as [`HistoryLine::parse`] makes them.
pub fn write_line(line: &HistoryLine, out: &mut Vec<u8>) -> Result<(), BinaryError> {
    let (mut flags, mut columns, mut values) = (0, Vec::new(), Vec::new());
    if let Some(at) = line.logged_at {
        flags |= flag::LOGGED_AT;
        values.extend_from_slice(&at.as_micros().to_le_bytes());
    }
    if let Some(step) = line.step {
        flags |= flag::STEP;
        values.extend_from_slice(&step.to_le_bytes());
    }
    if let Some(runtime) = line.runtime.filter(|runtime| runtime.is_finite()) {
        flags |= flag::RUNTIME;
        values.extend_from_slice(&runtime.to_le_bytes());
    }
    let has_added = has_added_time(line);
    if has_added {
        flags |= flag::ADDED_TIME;
    }
    let cells = line.row.len() - usize::from(has_added);
    for (name, value) in line.row.cells().take(cells) {
        write_text(&mut columns, name);
        write_value(value, &mut columns, &mut values)?;
    }
    let mut head = vec![flags];
    write_varint(&mut head, cells as u64);
    out.push(MARK);
    write_varint(out, (head.len() + columns.len()) as u64);
    out.extend_from_slice(&head);
    out.extend_from_slice(&columns);
    out.extend_from_slice(&values);
    Ok(())
}

/// Returns whether the last cell is the time that the client adds.
fn has_added_time(line: &HistoryLine) -> bool {
    match (line.row.cells().last(), line.logged_at) {
        (Some((TIMESTAMP_COLUMN, Value::Timestamp(at))), Some(logged_at)) => {
            is_added_time(*at, logged_at)
        }
        _ => false,
    }
}

/// Appends a value's kind to `shape`, and the value to `values`.
fn write_value(
    value: &Value,
    shape: &mut Vec<u8>,
    values: &mut Vec<u8>,
) -> Result<(), BinaryError> {
    match value {
        Value::List(items) => return write_list(items, shape, values),
        Value::Struct(fields) => return write_struct(fields, shape, values),
        Value::Null => {}
        Value::Bool(b) => values.push((*b).into()),
        Value::Int(n) => match i64::try_from(*n) {
            Ok(n) => values.extend_from_slice(&n.to_le_bytes()),
            Err(_) => values.extend_from_slice(&n.to_le_bytes()),
        },
        Value::Float(x) => values.extend_from_slice(&x.to_le_bytes()),
        Value::String(text) => write_text(values, text),
        Value::Timestamp(at) => values.extend_from_slice(&at.as_micros().to_le_bytes()),
        Value::Media(media) => write_media(media, values)?,
    }
    shape.push(scalar_tag(value));
    Ok(())
}

fn scalar_tag(value: &Value) -> u8 {
    match value {
        Value::Null => tag::NULL,
        Value::Bool(_) => tag::BOOL,
        Value::Int(n) if i64::try_from(*n).is_ok() => tag::INT,
        Value::Int(_) => tag::WIDE,
        Value::Float(_) => tag::FLOAT,
        Value::String(_) => tag::TEXT,
        Value::Timestamp(_) => tag::TIME,
        Value::Media(_) => tag::MEDIA,
        Value::List(_) => tag::MIXED,
        Value::Struct(_) => tag::STRUCT,
    }
}

fn write_struct(
    fields: &Row,
    shape: &mut Vec<u8>,
    values: &mut Vec<u8>,
) -> Result<(), BinaryError> {
    shape.push(tag::STRUCT);
    write_varint(shape, fields.len() as u64);
    for (name, value) in fields.cells() {
        write_text(shape, name);
        write_value(value, shape, values)?;
    }
    Ok(())
}

fn write_list(
    items: &[Value],
    shape: &mut Vec<u8>,
    values: &mut Vec<u8>,
) -> Result<(), BinaryError> {
    let Some(first) = items.first() else {
        shape.push(tag::MIXED);
        write_varint(values, 0);
        return Ok(());
    };
    let is_scalar = |tag| !matches!(tag, tag::NULL | tag::MIXED | tag::STRUCT);
    let first = scalar_tag(first);
    if is_scalar(first) && items.iter().all(|item| scalar_tag(item) == first) {
        shape.extend_from_slice(&[tag::LIST, first]);
        write_varint(values, items.len() as u64);
        // The kinds are known, so they are written to a list that is dropped.
        let mut kinds = Vec::with_capacity(items.len());
        return items.iter().try_for_each(|item| write_value(item, &mut kinds, values));
    }
    // Each element is written once, whether the kinds turn out to be equal or not.
    let (mut kinds, mut contents, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for item in items {
        write_value(item, &mut kinds, &mut contents)?;
        ends.push((kinds.len(), contents.len()));
    }
    write_varint(values, items.len() as u64);
    let kind = &kinds[..ends[0].0];
    let is_short = kind.len().saturating_mul(items.len()) <= contents.len() * MAX_REPETITION;
    let is_one_kind = kinds.len() == kind.len() * items.len()
        && kinds.chunks_exact(kind.len()).all(|other| other == kind);
    if is_short && is_one_kind {
        shape.push(tag::LIST);
        shape.extend_from_slice(kind);
        values.extend_from_slice(&contents);
        return Ok(());
    }
    shape.push(tag::MIXED);
    let (mut kind, mut content) = (0, 0);
    for (kind_end, content_end) in ends {
        values.extend_from_slice(&kinds[kind..kind_end]);
        values.extend_from_slice(&contents[content..content_end]);
        (kind, content) = (kind_end, content_end);
    }
    Ok(())
}

/// The flags of a media cell.
pub(super) mod media_flag {
    /// The path is that of [`media_file`](crate::media_file), so the hash is enough.
    pub(in super::super) const BY_HASH: u8 = 1;
    /// A hash in any form.
    pub(in super::super) const SHA256: u8 = 2;
    pub(in super::super) const SIZE: u8 = 4;
    pub(in super::super) const DIMENSIONS: u8 = 8;
    pub(in super::super) const CAPTION: u8 = 16;
    pub(in super::super) const ALL: u8 = BY_HASH | SHA256 | SIZE | DIMENSIONS | CAPTION;
}

fn write_media(media: &Media, out: &mut Vec<u8>) -> Result<(), BinaryError> {
    let MediaSource::Stored(file) = media.source() else {
        return Err(BinaryError::Media { reason: "the file is not stored yet".to_owned() });
    };
    let by_hash = file.sha256.as_deref().and_then(from_hex).filter(|_| {
        let hash = file.sha256.as_deref().unwrap_or_default();
        file.path == format!("{}/{hash}.{}", media_folder(media.kind()), media.format())
    });
    let mut flags = 0;
    flags |= if by_hash.is_some() { media_flag::BY_HASH } else { 0 };
    flags |= if file.sha256.is_some() && by_hash.is_none() { media_flag::SHA256 } else { 0 };
    flags |= if file.size.is_some() { media_flag::SIZE } else { 0 };
    flags |= if media.dimensions().is_some() { media_flag::DIMENSIONS } else { 0 };
    flags |= if media.caption().is_some() { media_flag::CAPTION } else { 0 };
    out.extend_from_slice(&[media.kind() as u8, flags]);
    write_text(out, media.format());
    match (by_hash, &file.sha256) {
        (Some(hash), _) => out.extend_from_slice(&hash),
        (None, sha256) => {
            write_text(out, &file.path);
            sha256.iter().for_each(|text| write_text(out, text));
        }
    }
    if let Some(size) = file.size {
        write_varint(out, size);
    }
    if let Some((width, height)) = media.dimensions() {
        write_varint(out, width.into());
        write_varint(out, height.into());
    }
    media.caption().iter().for_each(|caption| write_text(out, caption));
    Ok(())
}

/// Reads 64 lower-case hexadecimal digits.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
