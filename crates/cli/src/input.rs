//! Options of commands that read rows from files.

use clap::{Args, ValueEnum};
use streamtable_format::{NaiveTimes, Options, TimeUnit};

use crate::failure::Failure;

/// Input formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JSON objects, one per line or in any layout, or one array of them
    #[value(alias = "jsonl", alias = "ndjson")]
    Json,
    /// Comma-separated values with a header line
    Csv,
    /// Tab-separated values with a header line
    Tsv,
    /// Apache Parquet
    Parquet,
    /// Apache Arrow, as file or stream
    Arrow,
}

impl From<Format> for streamtable_format::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            Format::Csv => Self::Csv,
            Format::Tsv => Self::Tsv,
            Format::Parquet => Self::Parquet,
            Format::Arrow => Self::Arrow,
        }
    }
}

/// How to read the files.
#[derive(Debug, Args)]
#[command(next_help_heading = "How to read the rows")]
pub(crate) struct InputArgs {
    /// Format of the rows [default: from the content and the name of each file]
    #[arg(long, short, value_enum)]
    format: Option<Format>,
    /// Column to leave out; may be repeated
    #[arg(long, value_name = "COLUMN")]
    skip: Vec<String>,
    /// CSV column to read as text, whatever its cells look like; may be repeated
    #[arg(long, value_name = "COLUMN")]
    text: Vec<String>,
    /// CSV column to read as numbers, even if they print differently, such as 1.50 or 007; may be
    /// repeated
    #[arg(long, value_name = "COLUMN")]
    number: Vec<String>,
    /// Character between the cells of CSV [default: detected]
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<String>,
    /// Numbers of CSV have a decimal comma
    #[arg(long)]
    decimal_comma: bool,
    /// Number of lines before the header line of CSV
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip_lines: u64,
    /// Character encoding of CSV and JSON, such as windows-1252 [default: UTF-8, or what a byte order
    /// mark says]
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
    /// Zone of times that have none: utc, local, or a name such as Europe/Berlin [default: local; in
    /// CSV such times stay text]
    #[arg(long, value_name = "ZONE")]
    naive: Option<NaiveTimes>,
    /// Unit of numbers in the column `timestamp`, which are then the times of their rows [default: they
    /// are numbers like others]
    #[arg(long, value_name = "UNIT", value_enum)]
    timestamp: Option<Unit>,
}

/// Units of times since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Unit {
    /// Seconds
    S,
    /// Milliseconds
    Ms,
    /// Microseconds
    Us,
    /// Nanoseconds
    Ns,
}

impl From<Unit> for TimeUnit {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::S => Self::Seconds,
            Unit::Ms => Self::Millis,
            Unit::Us => Self::Micros,
            Unit::Ns => Self::Nanos,
        }
    }
}

impl InputArgs {
    /// Returns the options of the reader.
    pub(crate) fn options(&self) -> Result<Options, Failure> {
        let delimiter = self.delimiter.as_deref().map(delimiter).transpose()?;
        let mut options = Options::default();
        options.format = self.format.map(Into::into);
        options.delimiter = delimiter;
        options.encoding = self.encoding.clone();
        options.skip_lines = self.skip_lines;
        options.decimal_comma = self.decimal_comma;
        options.text = self.text.clone();
        options.number = self.number.clone();
        options.skip = self.skip.clone();
        options.naive = self.naive.clone();
        options.timestamp = self.timestamp.map(Into::into);
        Ok(options)
    }
}

fn delimiter(text: &str) -> Result<u8, Failure> {
    match text.as_bytes() {
        b"\\t" | b"tab" => Ok(b'\t'),
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err(Failure::usage(format!("--delimiter {text:?}: name one ASCII character, or tab"))),
    }
}
