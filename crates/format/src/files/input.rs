//! A source that was inspected.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes as Chunk;
use encoding_rs::Encoding;
use streamtable_schema::Row;
use streamtable_wire::MAX_LINE_BYTES;

use super::detect::{self, Compression};
use super::media::MediaFiles;
use super::metadata::Metadata;
use super::options::{Format, InputError, Options};
use super::shape::Shape;
use super::stream::{Bytes, Counted, Source};
use super::{columnar, csv, lines, text};
use crate::json::{Piece, Splitter};
use crate::{NaiveTimes, Note};

/// Maximum number of decompressed bytes that are inspected to detect the format.
pub(super) const MAX_SAMPLE_BYTES: usize = 1 << 20;

/// Size of the chunks in which JSON is read.
const CHUNK_BYTES: usize = 64 << 10;

/// The location of a row in its source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    source: Arc<str>,
    number: u64,
}

impl Position {
    /// Returns the name of the source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns, from 1, the line on which the row starts in a text, else the number of the row. It
    /// increases from row to row.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl fmt::Display for Position {
    /// Writes the source and, from 1, the line of a text, else the number of the row.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.number)
    }
}

/// An element of a source.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Item {
    /// A row, or why it is invalid.
    Row(Position, Result<Row, String>),
    /// A change of values, reported once per column.
    Note(Note),
}

/// An element with its number.
pub(super) enum Found {
    Row(u64, Result<Row, String>),
    Note(Note),
}

/// Receives what a reader found. Reading stops when it returns false.
pub(super) type Deliver<'a> = &'a mut dyn FnMut(Found) -> bool;

/// A source whose format is known.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use streamtable_format::{Input, Item, Options, Source};
///
/// let input = Input::inspect(&Source::File("orders.csv.gz".into()), &Options::default())?;
/// for note in input.notes() {
///     eprintln!("{note}");
/// }
/// input.read(&Arc::default(), &mut |item| {
///     if let Item::Row(position, row) = item {
///         println!("{position}: {row:?}");
///     }
///     true
/// })?;
/// # Ok::<(), streamtable_format::InputError>(())
/// ```
pub struct Input {
    name: Arc<str>,
    bytes: Bytes,
    compression: Compression,
    format: Format,
    encoding: Option<&'static Encoding>,
    csv: Option<csv::Plan>,
    naive: NaiveTimes,
    metadata: Metadata,
    media: MediaFiles,
    notes: Vec<Note>,
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("name", &self.name)
            .field("format", &self.format)
            .field("compression", &self.compression)
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

impl Input {
    /// Opens a source and detects its compression, format, encoding and, for CSV, its shape and
    /// types.
    ///
    /// The types of CSV columns are chosen from all cells of a file, and from the first 256 KiB of
    /// a pipe or what arrives of them until nothing comes for half a second. Fails if a decision is
    /// needed; no row was read then.
    pub fn inspect(source: &Source, options: &Options) -> Result<Self, InputError> {
        let bytes = Bytes::open(source)?;
        let start = bytes.sample()?;
        let compression = Compression::of(&start)?;
        let sample = compression.sample(start);
        let format = match options.format {
            Some(format) => format,
            None => detect::format(source, &sample)?,
        };
        let encoding = options.encoding.as_deref().map(text::encoding).transpose()?;
        let mut input = Self {
            name: source.to_string().into(),
            bytes,
            compression,
            format,
            encoding,
            csv: None,
            naive: options.naive_times(),
            metadata: Metadata::new(options),
            media: MediaFiles::next_to(source),
            notes: Vec::new(),
        };
        if matches!(format, Format::Csv | Format::Tsv) {
            input.csv = Some(input.csv_plan(sample, options)?);
        }
        Ok(input)
    }

    fn csv_plan(&mut self, sample: Vec<u8>, options: &Options) -> Result<csv::Plan, InputError> {
        let mut text = Vec::new();
        let sample = io::Cursor::new(sample);
        text::decoded(Box::new(sample), self.encoding).read_to_end(&mut text)?;
        let shape = Shape::detect(&text, self.format, options, &mut self.notes)?;
        let all: Box<dyn Read> = match &self.bytes {
            Bytes::File(path) => {
                let file = self.compression.reader(Box::new(File::open(path)?))?;
                Box::new(text::decoded(file, self.encoding))
            }
            Bytes::Pipe(_) => {
                // The last line of the sample may be incomplete.
                let end =
                    text.iter().rposition(|&byte| byte == b'\n').map_or(text.len(), |at| at + 1);
                text.truncate(end);
                Box::new(io::Cursor::new(text))
            }
        };
        csv::Plan::new(all, shape, options, &mut self.notes)
    }

    /// Returns the name of the source.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Returns what the inspection chose or found.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Reads all rows until `sink` returns false, and adds the bytes that were read to `bytes`.
    ///
    /// An invalid row is passed on; an error means that reading cannot continue.
    pub fn read(
        self,
        bytes: &Arc<AtomicU64>,
        sink: &mut dyn FnMut(Item) -> bool,
    ) -> Result<(), InputError> {
        let Self { name, bytes: source, compression, format, encoding, csv, naive, .. } = self;
        let (mut metadata, mut media) = (self.metadata, self.media);
        let mut deliver = |found: Found| match found {
            Found::Note(note) => sink(Item::Note(note)),
            Found::Row(number, mut row) => {
                let position = Position { source: Arc::clone(&name), number };
                let note = row.as_mut().ok().and_then(|row| metadata.take_out(row));
                let row = row.map(|row| media.attach(row));
                note.is_none_or(|note| sink(Item::Note(note))) && sink(Item::Row(position, row))
            }
        };
        let is_binary = matches!(format, Format::Parquet | Format::Arrow);
        let direct = is_binary && compression == Compression::None;
        let result = match source {
            Bytes::File(path) if direct => {
                columns(format, File::open(path)?, Some(bytes), &naive, &mut deliver)
            }
            source => {
                let raw: Box<dyn Read + Send> = match source {
                    Bytes::File(path) => Box::new(File::open(path)?),
                    Bytes::Pipe(pipe) => Box::new(pipe.into_read()),
                };
                let raw = Box::new(Counted { inner: raw, bytes: Arc::clone(bytes) });
                let plain = compression.reader(raw)?;
                match (is_binary, csv) {
                    (true, _) => {
                        columns(format, columnar::spooled(plain)?, None, &naive, &mut deliver)
                    }
                    (false, Some(plan)) => plan.read(text::decoded(plain, encoding), &mut deliver),
                    (false, None) => read_json(text::decoded(plain, encoding), &mut deliver),
                }
            }
        };
        for note in metadata.left_out().into_iter().chain(media.missing()) {
            sink(Item::Note(note));
        }
        result
    }
}

fn columns(
    format: Format,
    file: File,
    bytes: Option<&Arc<AtomicU64>>,
    naive: &NaiveTimes,
    deliver: Deliver<'_>,
) -> Result<(), InputError> {
    match format {
        Format::Parquet => columnar::read_parquet(file, bytes.map(AsRef::as_ref), naive, deliver),
        _ => columnar::read_arrow(file, naive, deliver),
    }
}

fn read_json(mut input: impl Read, deliver: Deliver<'_>) -> Result<(), InputError> {
    let mut splitter = Splitter::default();
    let mut pieces = Vec::new();
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = input.read(&mut chunk)?;
        chunk.truncate(read);
        let split = match read {
            0 => splitter.finish(&mut pieces),
            _ => splitter.push(&Chunk::from(chunk), &mut pieces),
        };
        for piece in pieces.drain(..) {
            let found = match piece {
                Piece::Row { number, text } => Found::Row(number, lines::row(text.trim_ascii())),
                Piece::TooLong { number } => Found::Row(
                    number,
                    Err(format!("the row is longer than {MAX_LINE_BYTES} bytes")),
                ),
            };
            if !deliver(found) {
                return Ok(());
            }
        }
        split.map_err(|error| InputError::invalid(Format::Json, error))?;
        if read == 0 {
            return Ok(());
        }
    }
}
