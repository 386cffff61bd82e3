//! Single values as JSON text, for code that stores values outside history lines.

use std::collections::HashMap;

use streamtable_schema::{MediaSource, Value};

use crate::cell;
use crate::json::{JsonError, parse, write_f64, write_plain, write_str};

/// Appends a value in the form of a history line: timestamps and media as the protocol's cells,
/// `NaN` and the infinities as bare words, integers with all their digits.
///
/// Media whose bytes are not stored among a table's files yet are written as null.
///
/// ```
/// use streamtable_schema::{Timestamp, Value, row};
/// use streamtable_wire::{read_cell, write_cell};
///
/// let value: Value = row! { "n" => i128::MAX, "at" => Timestamp::from_millis(7) }.into();
/// let mut text = Vec::new();
/// write_cell(&mut text, &value);
/// assert_eq!(read_cell(std::str::from_utf8(&text)?)?, value);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_cell(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
        Value::Int(n) => write_plain(out, n),
        Value::Float(x) => write_f64(out, *x),
        Value::String(text) => write_str(out, text),
        Value::Timestamp(at) => cell::write_timestamp(out, *at),
        Value::Media(media) => match media.source() {
            MediaSource::Stored(file) => cell::write_media(out, media, file),
            MediaSource::Bytes(_) | MediaSource::Path(_) => out.extend_from_slice(b"null"),
        },
        Value::List(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_cell(out, item);
            }
            out.push(b']');
        }
        Value::Struct(row) => {
            out.push(b'{');
            for (i, (name, value)) in row.cells().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_str(out, name);
                out.push(b':');
                write_cell(out, value);
            }
            out.push(b'}');
        }
    }
}

/// The key of the metadata of an Arrow field whose value is the name of a [`CellMark`].
pub const CELL_MARK: &str = "streamtable.cell";

/// The encoding of values in the cells of an Arrow column, where its type does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellMark {
    /// A text that [`write_cell`] wrote: a list or a struct.
    Json,
    /// A struct that describes a file.
    Media,
    /// A struct with a part for each kind of value, of which one is not null.
    Mixed,
    /// A list or struct as such. A struct does not have the fields that are null.
    Nested,
}

impl CellMark {
    /// Returns the mark's name. Parts of mixed cells that have a mark have its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Media => "media",
            Self::Mixed => "mixed",
            Self::Nested => "nested",
        }
    }

    /// Returns the mark in the metadata of an Arrow field.
    pub fn of_metadata(metadata: &HashMap<String, String>) -> Option<Self> {
        Self::named(metadata.get(CELL_MARK)?)
    }

    /// Returns the mark with a name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Json, Self::Media, Self::Mixed, Self::Nested];
        all.into_iter().find(|mark| mark.name() == name)
    }
}

/// Reads a text of a column with the mark [`CellMark::Json`]: a list, a struct, or an integer beyond 64
/// bits. Returns `None` for other texts, which a query may put into the column, by a union for example.
pub fn read_marked(text: &str) -> Option<Value> {
    let is_wide = || text.parse::<i64>().is_err() && text.parse::<i128>().is_ok();
    let is_written = text.starts_with(['[', '{']) || is_wide();
    is_written.then(|| read_cell(text).ok())?
}

/// Decodes the protocol's cells in a JSON value: timestamps and media.
pub fn read_cells(value: Value) -> Value {
    cell::read(value)
}

/// Parses the output of [`write_cell`], or the value of a column in a history line.
pub fn read_cell(text: &str) -> Result<Value, JsonError> {
    parse(text).map(cell::read)
}

#[cfg(test)]
mod tests {
    use streamtable_schema::row;

    use super::*;

    #[test]
    fn only_what_is_written_as_json_is_read_back() {
        let wide = Value::Int(i128::from(u64::MAX));
        for value in [Value::List(vec![1.into()]), row! { "a" => 0.5 }.into(), wide] {
            let mut text = Vec::new();
            write_cell(&mut text, &value);
            assert_eq!(read_marked(std::str::from_utf8(&text).unwrap()), Some(value));
        }
        for text in ["", "a text", "7", "-7", "true", "null", "NaN", "\"7\"", "[1", "{}}"] {
            assert_eq!(read_marked(text), None, "{text}");
        }
    }
}
