//! Rows from files and pipes.

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

/// Forms in which rows come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// An object a line
    Jsonl,
    /// One array of objects
    Json,
    /// Comma-separated values, with a line of names
    Csv,
    /// The same with tabs
    Tsv,
    /// Apache Parquet
    Parquet,
}

impl Format {
    /// Tells the form by a file's name; an object a line where that says nothing.
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

/// How rows are read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// The form; by the file's name where it is not told.
    pub(crate) format: Option<Format>,
    /// Columns of CSV that are texts whatever stands in them.
    pub(crate) text: Vec<String>,
    /// Columns that are left out.
    pub(crate) skip: Vec<String>,
}

/// Where rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// Reads an argument: `-` is standard input.
    pub(crate) fn new(path: &Path) -> Self {
        if path == Path::new("-") { Self::Stdin } else { Self::File(path.to_owned()) }
    }

    /// Returns how long it is, if that is known.
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

/// Where a row stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    source: Arc<str>,
    /// Of a text its line, of anything else the row's number; from 1.
    number: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.number)
    }
}

/// What was read: a row, or why there is none.
pub(crate) type Item = (Place, Result<Row, String>);

/// Takes what is read; `false` ends the reading.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Item) -> bool;

/// Reads all rows of a source. A row that is none is passed on as such; only what keeps from
/// reading on is an error. Counts the bytes that it reads.
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

/// Takes a row's number, and the row.
type Deliver<'a> = &'a mut dyn FnMut(u64, Result<Row, String>) -> bool;

fn without(row: Row, skip: &[String]) -> Row {
    if skip.is_empty() {
        return row;
    }
    row.into_iter().filter(|(name, _)| !skip.iter().any(|skip| skip == name)).collect()
}

/// Copies what can only be read from its end into a file of its own.
fn spooled(mut input: impl Read) -> io::Result<File> {
    use std::io::{Seek, SeekFrom};
    let mut file = tempfile::tempfile()?;
    io::copy(&mut input, &mut file)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// Counts what is read.
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
