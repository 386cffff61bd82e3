//! Rows from files and standard input.

mod arrow_value;
mod bounded;
mod csv;
mod json;
mod parquet;

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;
use streamtable::Row;

/// Input formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object per line
    Jsonl,
    /// One JSON array of objects
    Json,
    /// Comma-separated values with a header line
    Csv,
    /// Tab-separated values with a header line
    Tsv,
    /// Apache Parquet
    Parquet,
}

impl Format {
    /// Returns the format for a file name extension. The default is one object per line.
    fn of(path: &Path) -> Self {
        let extension = path.extension().and_then(|it| it.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "json" => Self::Json,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "parquet" => Self::Parquet,
            _ => Self::Jsonl,
        }
    }
}

/// Options for reading rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// The format. If `None`, it is inferred from the file name.
    pub(crate) format: Option<Format>,
    /// CSV columns whose cells are always strings.
    pub(crate) text: Vec<String>,
    /// Columns to omit.
    pub(crate) skip: Vec<String>,
}

/// The source of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// Parses an argument. `-` is standard input.
    pub(crate) fn new(path: &Path) -> Self {
        if path == Path::new("-") { Self::Stdin } else { Self::File(path.to_owned()) }
    }

    /// Returns the size in bytes, if it is known.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Self::Stdin => None,
            Self::File(path) => {
                path.metadata().ok().filter(std::fs::Metadata::is_file).map(|it| it.len())
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// The location of a row in its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    source: Arc<str>,
    /// The line of a text format, otherwise the number of the row. Starts at 1.
    number: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.number)
    }
}

/// A row, or why it is invalid.
pub(crate) type Item = (Place, Result<Row, String>);

/// Receives the rows. Reading stops when it returns `false`.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Item) -> bool;

/// Reads all rows of a source and counts the bytes read. Invalid rows are passed on; an error means
/// that reading cannot continue.
pub(crate) fn read(
    source: &Source,
    options: &Options,
    bytes: &AtomicU64,
    sink: Sink<'_>,
) -> io::Result<()> {
    let format = options.format.unwrap_or_else(|| match source {
        Source::Stdin => Format::Jsonl,
        Source::File(path) => Format::of(path),
    });
    let name: Arc<str> = source.to_string().into();
    let place = |number| Place { source: Arc::clone(&name), number };
    let mut deliver = |number, row: Result<Row, String>| {
        let row = row.map(|row| without(row, &options.skip));
        sink((place(number), row))
    };
    if format == Format::Parquet {
        let file = match source {
            Source::Stdin => spooled(Counting { inner: io::stdin().lock(), bytes })?,
            Source::File(path) => File::open(path)?,
        };
        return parquet::read(file, bytes, &mut deliver);
    }
    let input: Box<dyn Read> = match source {
        Source::Stdin => Box::new(io::stdin().lock()),
        Source::File(path) => Box::new(File::open(path)?),
    };
    let input = Counting { inner: input, bytes };
    match format {
        Format::Jsonl => json::read_lines(BufReader::with_capacity(1 << 16, input), &mut deliver),
        Format::Json => json::read_document(input, &mut deliver),
        Format::Csv => csv::read(input, b',', &options.text, &mut deliver),
        Format::Tsv => csv::read(input, b'\t', &options.text, &mut deliver),
        Format::Parquet => Ok(()),
    }
}

/// Receives the number of a row, and the row.
type Deliver<'a> = &'a mut dyn FnMut(u64, Result<Row, String>) -> bool;

fn without(row: Row, skip: &[String]) -> Row {
    if skip.is_empty() {
        return row;
    }
    row.into_iter().filter(|(name, _)| !skip.iter().any(|skip| skip == name)).collect()
}

/// Copies the input to a temporary file, because Parquet is read from its end.
fn spooled(mut input: impl Read) -> io::Result<File> {
    use std::io::{Seek, SeekFrom};
    let mut file = tempfile::tempfile()?;
    io::copy(&mut input, &mut file)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// Counts the bytes read.
struct Counting<'a, R> {
    inner: R,
    bytes: &'a AtomicU64,
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
