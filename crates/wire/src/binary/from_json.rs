//! Binary lines from the JSON lines of clients, without a row in between.

use std::collections::HashSet;

use streamtable_schema::{TIMESTAMP_COLUMN, Value};

use super::encode::{write_value, write_whole};
use super::input::{Input, write_text};
use super::shape::{flag, tag};
use super::{BinaryError, write_line};
use crate::cell;
use crate::decode::{from_seconds, number};
use crate::json::{JsonError, Parser};
use crate::{HistoryLine, RESERVED_COLUMNS, is_added_time};

/// Writes history lines of [`write_row`](crate::write_row) as binary lines. It keeps its memory.
#[derive(Debug, Default)]
pub struct JsonLines {
    /// The names and kinds of the cells.
    columns: Vec<u8>,
    count: u64,
    values: Vec<u8>,
    /// The columns of an earlier line, which have distinct names.
    distinct: Vec<u8>,
}

/// Why a line cannot be written as a binary line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonLineError {
    /// It is no JSON object.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It has no binary form.
    #[error(transparent)]
    Binary(#[from] BinaryError),
    /// It is of another writer, or of none.
    #[error("the row is not of the writer {writer:?}")]
    Writer {
        /// The expected writer.
        writer: String,
    },
}

impl JsonLines {
    /// Appends a line of `writer` to `out`. It is read as [`HistoryLine::parse`] reads its text, without
    /// the writer. After an error, `out` is unchanged.
    pub fn write(
        &mut self,
        text: &str,
        writer: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), JsonLineError> {
        if self.write_usual(text, writer, out)? {
            return Ok(());
        }
        // A line of another form, such as that of another program.
        let line = HistoryLine::parse(text)?;
        if line.writer.as_deref() != Some(writer) {
            return Err(JsonLineError::Writer { writer: writer.to_owned() });
        }
        let start = out.len();
        write_line(&line, out).inspect_err(|_| out.truncate(start))?;
        Ok(())
    }

    /// Appends a line that has the form of [`write_row`](crate::write_row); otherwise, returns false.
    fn write_usual(
        &mut self,
        text: &str,
        writer: &str,
        out: &mut Vec<u8>,
    ) -> Result<bool, JsonLineError> {
        self.columns.clear();
        self.values.clear();
        self.values.extend_from_slice(&[0; 8]);
        self.count = 0;
        let mut parser = Parser::new(text);
        let (mut is_named, mut added, mut logged_at) = (false, None, None);
        if !parser.open()? {
            return Ok(false);
        }
        loop {
            let name = parser.key()?;
            match &*name {
                "_client_id" if !is_named => match parser.value(1)? {
                    Value::String(text) if text == writer => is_named = true,
                    _ => return Ok(false),
                },
                TIMESTAMP_COLUMN if is_named => match cell::instant(parser.rest()) {
                    Some((at, bytes)) if added.is_none() => {
                        parser.skip(bytes);
                        added = Some(at);
                    }
                    _ => return Ok(false),
                },
                "_timestamp" if is_named && logged_at.is_none() => {
                    logged_at = number(&parser.value(1)?).and_then(from_seconds);
                }
                name if is_named || RESERVED_COLUMNS.contains(&name) => return Ok(false),
                name => self.cell(name, &mut parser)?,
            }
            if parser.close_or_next()? {
                break;
            }
        }
        let Some(logged_at) = logged_at else { return Ok(false) };
        let mut flags = flag::LOGGED_AT;
        if let Some(added) = added {
            if !is_added_time(added, logged_at) {
                return Ok(false);
            }
            flags |= flag::ADDED_TIME;
        }
        if !self.has_distinct_names() {
            return Ok(false);
        }
        self.values[..8].copy_from_slice(&logged_at.as_micros().to_le_bytes());
        write_whole(flags, self.count, &self.columns, &self.values, out);
        Ok(true)
    }

    fn cell(&mut self, name: &str, parser: &mut Parser<'_>) -> Result<(), JsonLineError> {
        /// The nesting that a cell may have as JSON, in which timestamps and media are objects.
        const ROOM: usize = 100;

        let Self { columns, values, count, .. } = self;
        *count += 1;
        write_text(columns, name);
        if let Some(text) = parser.text()? {
            columns.push(tag::TEXT);
            write_text(values, &text);
        } else if let Some((at, bytes)) = cell::instant(parser.rest()) {
            parser.skip(bytes);
            columns.push(tag::TIME);
            values.extend_from_slice(&at.as_micros().to_le_bytes());
        } else {
            write_value(&cell::read(parser.value(ROOM)?), columns, values)?;
        }
        Ok(())
    }

    /// Returns whether all columns have distinct names. Most lines have the columns of the line before.
    fn has_distinct_names(&mut self) -> bool {
        if self.columns == self.distinct {
            return true;
        }
        let mut input = Input::new(&self.columns);
        let mut seen = HashSet::new();
        while input.len() > 0 {
            let name = input.text().ok().filter(|name| seen.insert(*name));
            if name.is_none() || super::shape::Kind::read(&mut input, usize::MAX).is_err() {
                return false;
            }
        }
        drop(seen);
        self.distinct.clone_from(&self.columns);
        true
    }
}
