//! Bodies of many lines, in which each shape appears once.

use std::collections::HashMap;

use bytes::{Buf, Bytes, BytesMut};

use super::input::{Input, read_varint, write_varint};
use super::{BinaryError, MARK};
use crate::MAX_LINE_BYTES;

/// The first bytes of a body: the format and its version.
const MAGIC: [u8; 4] = *b"STr1";

/// How many bytes of shapes a writer keeps before it starts over.
const MAX_KEPT_BYTES: usize = 256 << 10;

/// The number of bytes that a reader keeps of shapes.
const MAX_SHAPES_BYTES: usize = MAX_LINE_BYTES;

/// Writes a body.
#[derive(Debug)]
pub struct BodyWriter {
    out: Vec<u8>,
    shapes: HashMap<Box<[u8]>, u64>,
    /// The total size of `shapes`.
    bytes: usize,
    /// The place of the last line's shape in `out`, and its number.
    last: Option<(std::ops::Range<usize>, u64)>,
}

impl Default for BodyWriter {
    fn default() -> Self {
        Self { out: MAGIC.to_vec(), shapes: HashMap::new(), bytes: 0, last: None }
    }
}

impl BodyWriter {
    /// Appends a line that [`write_line`](super::write_line) wrote.
    pub fn push(&mut self, line: &[u8]) -> Result<(), BinaryError> {
        let mut input = Input::new(line);
        if input.take(1)? != [MARK] {
            return Err(BinaryError::Version);
        }
        let shape = input.slice()?;
        let values = input.take(input.len())?;
        let number = match &self.last {
            Some((place, number)) if self.out[place.clone()] == *shape => *number,
            _ => self.number(shape),
        };
        let mut prefix = Vec::with_capacity(10);
        write_varint(&mut prefix, number);
        write_varint(&mut self.out, (prefix.len() as u64 + values.len() as u64) << 1);
        self.out.extend_from_slice(&prefix);
        self.out.extend_from_slice(values);
        Ok(())
    }

    /// Returns the number of a shape, which is written if it is new.
    fn number(&mut self, shape: &[u8]) -> u64 {
        if let Some(&number) = self.shapes.get(shape) {
            return number;
        }
        if self.bytes + shape.len() > MAX_KEPT_BYTES && !self.shapes.is_empty() {
            // An empty shape: the reader forgets all shapes, too.
            write_varint(&mut self.out, 1);
            self.shapes.clear();
            self.bytes = 0;
        }
        let number = self.shapes.len() as u64;
        write_varint(&mut self.out, (shape.len() as u64) << 1 | 1);
        let start = self.out.len();
        self.out.extend_from_slice(shape);
        self.last = Some((start..self.out.len(), number));
        self.shapes.insert(shape.into(), number);
        self.bytes += shape.len();
        number
    }

    /// Returns the body.
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }
}

/// One row of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// A line. Its values may still be invalid.
    Line(Bytes),
    /// A row that exceeds the maximum length, including its shape.
    TooLong,
    /// A row of a shape that the body does not have.
    NoShape,
}

/// Why a body has no further rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The body has another format or version.
    #[error("the body is not binary rows of version 1")]
    Version,
    /// The length of a record is not an integer.
    #[error("the length of a record is invalid")]
    Length,
    /// The body has too many shapes.
    #[error("the shapes take more than {MAX_SHAPES_BYTES} bytes: an empty shape starts over")]
    Shapes,
    /// The body ends within a record.
    #[error("the body ends within a row")]
    Incomplete,
}

/// Splits a body into lines while it arrives.
///
/// An invalid row does not affect others: each record begins with its length. Each line gets a copy of
/// its shape, so the lines may take much more memory than the body: use one before the next.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The bytes that are not split yet.
    rest: Bytes,
    has_magic: bool,
    /// How many bytes of a record that is too long are still to be skipped.
    skip: u64,
    shapes: Vec<Shape>,
    shapes_bytes: usize,
    /// Memory that lines share.
    lines: BytesMut,
}

/// A shape that lines are made of: the start of its lines, or `None` if it is too long.
type Shape = Option<Box<[u8]>>;

impl Splitter {
    /// Adds the next bytes.
    pub fn push(&mut self, chunk: Bytes) {
        self.rest = match self.rest.is_empty() {
            true => chunk,
            false => [&self.rest[..], &chunk].concat().into(),
        };
    }

    /// Returns the next row, `None` if the bytes so far have no further one.
    pub fn next_piece(&mut self) -> Result<Option<Piece>, SplitError> {
        if !self.has_magic {
            let given = &self.rest[..self.rest.len().min(MAGIC.len())];
            if *given != MAGIC[..given.len()] {
                return Err(SplitError::Version);
            }
            if given.len() < MAGIC.len() {
                return Ok(None);
            }
            self.has_magic = true;
            self.rest.advance(MAGIC.len());
        }
        loop {
            let skipped = self.skip.min(self.rest.len() as u64);
            self.skip -= skipped;
            self.rest.advance(skipped as usize);
            let header = read_varint(&self.rest).map_err(|_| SplitError::Length)?;
            let Some((header, header_bytes)) = header else { return Ok(None) };
            let (length, is_shape) = (header >> 1, header & 1 == 1);
            if length > MAX_LINE_BYTES as u64 {
                self.rest.advance(header_bytes);
                self.skip = length;
                if !is_shape {
                    return Ok(Some(Piece::TooLong));
                }
                self.shapes.push(None);
                continue;
            }
            let end = header_bytes + length as usize;
            if self.rest.len() < end {
                return Ok(None);
            }
            let record = self.rest.split_to(end).split_off(header_bytes);
            match is_shape {
                true => self.add_shape(&record)?,
                false => return Ok(Some(self.line(&record))),
            }
        }
    }

    /// Returns an error if the body ended within a record.
    pub fn finish(&self) -> Result<(), SplitError> {
        match self.rest.is_empty() && self.skip == 0 && self.has_magic {
            true => Ok(()),
            false => Err(SplitError::Incomplete),
        }
    }

    fn add_shape(&mut self, shape: &[u8]) -> Result<(), SplitError> {
        if shape.is_empty() {
            self.shapes.clear();
            self.shapes_bytes = 0;
            return Ok(());
        }
        let mut start = vec![MARK];
        write_varint(&mut start, shape.len() as u64);
        start.extend_from_slice(shape);
        self.shapes_bytes += start.len();
        if self.shapes_bytes > MAX_SHAPES_BYTES {
            return Err(SplitError::Shapes);
        }
        self.shapes.push(Some(start.into()));
        Ok(())
    }

    fn line(&mut self, record: &[u8]) -> Piece {
        let mut input = Input::new(record);
        let number = input.varint().ok().and_then(|number| usize::try_from(number).ok());
        let Some(shape) = number.and_then(|number| self.shapes.get(number)) else {
            return Piece::NoShape;
        };
        let values = &record[record.len() - input.len()..];
        match shape {
            Some(shape) if shape.len() + values.len() <= MAX_LINE_BYTES => {
                self.lines.extend_from_slice(shape);
                self.lines.extend_from_slice(values);
                Piece::Line(self.lines.split().freeze())
            }
            _ => Piece::TooLong,
        }
    }
}
