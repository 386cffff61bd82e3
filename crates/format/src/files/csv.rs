//! Rows from separated values.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use csv::{ByteRecord, ErrorKind, ReaderBuilder};
use streamtable_schema::{Row, Value};
use streamtable_wire::MAX_LINE_BYTES;

use super::input::{Deliver, Found};
use super::options::{Format, InputError, Options};
use super::shape::{Shape, unique_names};
use super::text::not_utf8;
use super::types::{Guess, Kind, is_decimal_comma, value};
use crate::{NaiveTimes, Note};

/// How the cells of a file are read.
#[derive(Debug)]
pub(super) struct Plan {
    shape: Shape,
    columns: Vec<Column>,
    decimal_comma: bool,
    naive: NaiveTimes,
}

#[derive(Debug)]
struct Column {
    name: String,
    kind: Kind,
}

impl Plan {
    /// Chooses the type of each column from all cells of `input`.
    ///
    /// Fails before the first row if the file is not valid, or needs a decision.
    pub(super) fn new(
        input: impl Read,
        shape: Shape,
        options: &Options,
        notes: &mut Vec<Note>,
    ) -> Result<Self, InputError> {
        let mut records = Records::new(input, &shape)?;
        let mut plan = Self {
            shape,
            columns: Vec::new(),
            decimal_comma: options.decimal_comma,
            naive: options.naive_times(),
        };
        let Some(names) = records.next()? else { return Ok(plan) };
        let names = names.iter().map(|name| utf8(name, 1).map(str::to_owned));
        let names = unique_names(names.collect::<Result<_, _>>()?, notes);
        for named in options.text.iter().chain(&options.number) {
            if !names.contains(named) {
                return Err(InputError::decision(
                    format!("there is no column {named:?}"),
                    format!("the columns are {}", list(&names)),
                ));
            }
        }
        let mut guesses = vec![Guess::default(); names.len()];
        while let Some(record) = records.next()? {
            if record.len() != names.len() {
                continue;
            }
            let line = record.position().map_or(0, csv::Position::line);
            for (guess, cell) in guesses.iter_mut().zip(record.iter()) {
                guess.add(&plan.cell(utf8(cell, line)?));
            }
        }
        plan.columns = names
            .into_iter()
            .zip(guesses)
            .map(|(name, guess)| {
                let kind = if options.text.contains(&name) {
                    Kind::Text
                } else if options.number.contains(&name) {
                    Kind::LooseNumber
                } else {
                    let (kind, note) = guess.kind(&name, options.naive.as_ref());
                    notes.extend(note.filter(|_| !options.skip.contains(&name)));
                    kind
                };
                Column { name, kind }
            })
            .collect();
        Ok(plan)
    }

    /// Reads all rows. A cell that is not of its column's type, which occurs only in a pipe behind the
    /// sample, is kept as text.
    pub(super) fn read(&self, input: impl Read, deliver: Deliver<'_>) -> Result<(), InputError> {
        let mut records = Records::new(input, &self.shape)?;
        records.next()?;
        let mut is_reported = vec![false; self.columns.len()];
        while let Some(record) = records.next()? {
            let line = record.position().map_or(0, csv::Position::line) + self.shape.skip_lines;
            let row = match record.len() == self.columns.len() {
                true => self.row(record, line, &mut is_reported, deliver),
                false => Err(format!("{} cells for {} columns", record.len(), self.columns.len())),
            };
            if !deliver(Found::Row(line, row)) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn row(
        &self,
        record: &ByteRecord,
        line: u64,
        is_reported: &mut [bool],
        deliver: Deliver<'_>,
    ) -> Result<Row, String> {
        let cells = self.columns.iter().zip(record).zip(is_reported);
        cells
            .map(|((column, cell), is_reported)| {
                let text = std::str::from_utf8(cell)
                    .map_err(|_| format!("column {:?} is not UTF-8", column.name))?;
                let value = value(&self.cell(text), column.kind, &self.naive).unwrap_or_else(|| {
                    if !std::mem::replace(is_reported, true) {
                        deliver(Found::Note(Note::column(
                            &column.name,
                            format!(
                                "the first rows have other types than {text:?} in line {line}, which \
                                 is kept as text; --text {} keeps all cells as text",
                                column.name
                            ),
                        )));
                    }
                    Value::from(text)
                });
                Ok((column.name.clone(), value))
            })
            .collect()
    }

    /// Returns a cell with a decimal point.
    fn cell<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str> {
        match self.decimal_comma && is_decimal_comma(text) {
            true => text.replace(',', ".").into(),
            false => text.into(),
        }
    }
}

fn utf8(cell: &[u8], line: u64) -> Result<&str, InputError> {
    std::str::from_utf8(cell).map_err(|_| not_utf8(line, cell))
}

fn list(names: &[String]) -> String {
    names.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The records of a file, the line of names first.
struct Records<R: Read> {
    reader: csv::Reader<Bounded<BufReader<R>>>,
    record: ByteRecord,
    limit: Limit,
}

impl<R: Read> Records<R> {
    fn new(input: R, shape: &Shape) -> io::Result<Self> {
        let mut input = BufReader::with_capacity(1 << 16, input);
        for _ in 0..shape.skip_lines {
            input.skip_until(b'\n')?;
        }
        let limit = Limit::new(2 * MAX_LINE_BYTES);
        let reader = ReaderBuilder::new()
            .delimiter(shape.delimiter)
            .flexible(true)
            .has_headers(false)
            .from_reader(Bounded { inner: input, limit: limit.clone() });
        Ok(Self { reader, record: ByteRecord::new(), limit })
    }

    fn next(&mut self) -> Result<Option<&ByteRecord>, InputError> {
        self.limit.renew();
        match self.reader.read_byte_record(&mut self.record) {
            Ok(true) => Ok(Some(&self.record)),
            Ok(false) => Ok(None),
            Err(error) => Err(match error.into_kind() {
                ErrorKind::Io(error) => error.into(),
                other => InputError::invalid(Format::Csv, format!("{other:?}")),
            }),
        }
    }
}

/// The number of bytes that may still be read before the next row ends.
#[derive(Clone)]
struct Limit {
    left: Rc<Cell<usize>>,
    bytes: usize,
}

impl Limit {
    fn new(bytes: usize) -> Self {
        Self { left: Rc::new(Cell::new(bytes)), bytes }
    }

    fn renew(&self) {
        self.left.set(self.bytes);
    }
}

/// A reader that fails if a row exceeds the limit.
struct Bounded<R> {
    inner: R,
    limit: Limit,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.limit.left.get().checked_sub(read).ok_or_else(|| {
            let message = "a row is too large; is a closing quote missing?";
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        self.limit.left.set(left);
        Ok(read)
    }
}
