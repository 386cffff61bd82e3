//! Decoding of rows.

use streamtable_schema::{
    MAX_DEPTH, Media, MediaKind, Row, StoredFile, TIMESTAMP_COLUMN, Timestamp, Value,
};

use super::encode::media_flag;
use super::input::Input;
use super::shape::{Kind, MAX_REPETITION, Shape, flag};
use super::{BinaryError, MARK};
use crate::HistoryLine;
use crate::cell::{is_plain_path, is_reserved_type, media_folder};
use crate::media_file::hex;

/// Reads binary lines. It keeps the shape of the last one, because most lines have the same.
#[derive(Debug, Default)]
pub struct LineReader {
    /// The bytes of the shape; empty if there is none.
    bytes: Vec<u8>,
    shape: Option<Shape>,
}

impl LineReader {
    /// Reads a line that [`write_line`](super::write_line) wrote. The memory that it takes is
    /// proportional to the line's bytes.
    pub fn read(&mut self, line: &[u8]) -> Result<HistoryLine, BinaryError> {
        let mut input = Input::new(line);
        if line.first() != Some(&MARK) {
            return Err(BinaryError::Version);
        }
        input.take(1)?;
        let bytes = input.slice()?;
        let kept = self.shape.take().filter(|_| self.bytes == bytes);
        let shape = match kept {
            Some(shape) => shape,
            None => {
                self.bytes.clear();
                self.bytes.extend_from_slice(bytes);
                Shape::read(bytes)?
            }
        };
        let shape = self.shape.insert(shape);
        let line = read_row(shape, &mut input)?;
        input.end()?;
        Ok(line)
    }
}

fn read_row(shape: &Shape, input: &mut Input<'_>) -> Result<HistoryLine, BinaryError> {
    let has = |flag| shape.flags & flag != 0;
    let mut line = HistoryLine::default();
    if has(flag::LOGGED_AT) {
        line.logged_at = Some(read_time(input)?);
    }
    if has(flag::STEP) {
        line.step = Some(i64::from_le_bytes(input.array()?));
    }
    if has(flag::RUNTIME) {
        line.runtime =
            Some(f64::from_le_bytes(input.array()?)).filter(|runtime| runtime.is_finite());
    }
    line.row = Row::with_capacity(shape.columns.len() + 1);
    for (name, kind) in &shape.columns {
        line.row.push(name.clone(), read_value(kind, input, MAX_DEPTH)?);
    }
    if let Some(at) = line.logged_at.filter(|_| has(flag::ADDED_TIME)) {
        line.row.push(TIMESTAMP_COLUMN, Timestamp::from_millis(at.as_millis()));
    }
    Ok(line)
}

fn read_time(input: &mut Input<'_>) -> Result<Timestamp, BinaryError> {
    Ok(Timestamp::from_micros(i64::from_le_bytes(input.array()?)))
}

/// Reads a value of a kind, with at most `room` nested levels.
fn read_value(kind: &Kind, input: &mut Input<'_>, room: usize) -> Result<Value, BinaryError> {
    let inner = || room.checked_sub(1).ok_or(BinaryError::TooDeep);
    Ok(match kind {
        Kind::Null => Value::Null,
        Kind::Bool => match input.byte()? {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            number => return Err(BinaryError::Unknown { number }),
        },
        Kind::Int => Value::Int(i64::from_le_bytes(input.array()?).into()),
        Kind::Wide => Value::Int(i128::from_le_bytes(input.array()?)),
        Kind::Float => Value::Float(f64::from_le_bytes(input.array()?)),
        Kind::Text => Value::String(input.text()?.to_owned()),
        Kind::Time => Value::Timestamp(read_time(input)?),
        Kind::Media => Value::from(read_media(input)?),
        Kind::List { element, length } => read_list(element, *length, input, inner()?)?,
        Kind::Mixed => {
            let (count, room) = (input.count()?, inner()?);
            let mut items = Vec::new();
            for _ in 0..count {
                let kind = Kind::read(input, room)?;
                items.push(read_value(&kind, input, room)?);
            }
            Value::List(items)
        }
        Kind::Struct(fields) => read_struct(fields, input, inner()?)?,
    })
}

/// Reads a list whose elements have a kind that takes `length` bytes.
fn read_list(
    element: &Kind,
    length: usize,
    input: &mut Input<'_>,
    room: usize,
) -> Result<Value, BinaryError> {
    let count = input.count()?;
    let before = input.len();
    let check = |bytes: usize| match length.saturating_mul(count) <= bytes * MAX_REPETITION {
        true => Ok(()),
        false => Err(BinaryError::Repetition),
    };
    // Checked before, so that no list needs much memory, and after, so that many lists do not.
    check(before)?;
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(read_value(element, input, room)?);
    }
    check(before - input.len())?;
    Ok(Value::List(items))
}

fn read_struct(
    fields: &[(String, Kind)],
    input: &mut Input<'_>,
    room: usize,
) -> Result<Value, BinaryError> {
    let mut row = Row::with_capacity(fields.len());
    for (name, kind) in fields {
        let value = read_value(kind, input, room)?;
        if let ("_type", Value::String(text)) = (&**name, &value)
            && is_reserved_type(text)
        {
            return Err(BinaryError::ReservedType { text: text.clone() });
        }
        row.push(name.clone(), value);
    }
    Ok(Value::Struct(row))
}

fn read_media(input: &mut Input<'_>) -> Result<Media, BinaryError> {
    let invalid =
        |reason: &dyn std::fmt::Display| BinaryError::Media { reason: reason.to_string() };
    let [kind, flags] = input.array()?;
    let unknown = |number| BinaryError::Unknown { number };
    let kind = *MediaKind::ALL.get(usize::from(kind)).ok_or(unknown(kind))?;
    if flags & !media_flag::ALL != 0 {
        return Err(unknown(flags));
    }
    let has = |flag| flags & flag != 0;
    let format = input.text()?;
    let (path, sha256) = if has(media_flag::BY_HASH) {
        let hash = hex(&input.array::<32>()?);
        (format!("{}/{hash}.{format}", media_folder(kind)), Some(hash))
    } else {
        let path = input.text()?.to_owned();
        let sha256 = if has(media_flag::SHA256) { Some(input.text()?.to_owned()) } else { None };
        (path, sha256)
    };
    if !is_plain_path(&path) {
        return Err(invalid(&"its path leaves the folder of the table's files"));
    }
    let size = if has(media_flag::SIZE) { Some(input.varint()?) } else { None };
    let mut side = || u32::try_from(input.varint()?).map_err(|_| invalid(&"its size in pixels"));
    let dimensions = if has(media_flag::DIMENSIONS) { Some((side()?, side()?)) } else { None };
    let file = StoredFile { path, sha256, size };
    let media = Media::stored(kind, format, dimensions, file).map_err(|error| invalid(&error))?;
    Ok(if has(media_flag::CAPTION) { media.with_caption(input.text()?) } else { media })
}
