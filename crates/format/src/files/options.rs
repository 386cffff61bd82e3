//! How to read a file, and why one cannot be read.

use std::fmt;
use std::io;

use super::TimeUnit;
use crate::NaiveTimes;

/// Formats of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// JSON objects one after another, or one array of objects.
    Json,
    /// Separated values after a line of column names.
    Csv,
    /// Values separated by tabs, after a line of column names.
    Tsv,
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow's IPC formats, as file or as stream.
    Arrow,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "JSON",
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::Parquet => "Parquet",
            Self::Arrow => "Arrow",
        })
    }
}

/// Options for reading rows. The default detects everything.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// The format.
    pub format: Option<Format>,
    /// The character between the cells of CSV: one ASCII character.
    pub delimiter: Option<u8>,
    /// The name of the character encoding of CSV and JSON, such as `windows-1252`.
    pub encoding: Option<String>,
    /// Number of lines before the line of column names of CSV.
    pub skip_lines: u64,
    /// Whether numbers of CSV have a comma instead of a point.
    pub decimal_comma: bool,
    /// Columns of CSV whose cells are texts.
    pub text: Vec<String>,
    /// Columns of CSV whose cells are numbers, even if they print differently than they are written.
    pub number: Vec<String>,
    /// Columns to leave out.
    pub skip: Vec<String>,
    /// The zone of times that have none. `None` is this machine's for typed values, and keeps texts as
    /// they are.
    pub naive: Option<NaiveTimes>,
    /// The unit of numbers in the column `timestamp`, which are then the times of their rows.
    pub timestamp: Option<TimeUnit>,
}

impl Options {
    /// Returns the zone of typed times that have none.
    pub(super) fn naive_times(&self) -> NaiveTimes {
        self.naive.clone().unwrap_or_else(NaiveTimes::local)
    }
}

/// Why an input cannot be read, or not further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// Reading failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The content needs a decision by the caller before its first row can be read.
    #[error("{problem}; {option}")]
    Decision {
        /// The ambiguity.
        problem: String,
        /// The option that decides it.
        option: String,
    },
    /// The content does not have the format.
    #[error("invalid {format} file: {reason}")]
    Invalid {
        /// The format.
        format: Format,
        /// The reason.
        reason: String,
    },
}

impl InputError {
    pub(crate) fn invalid(format: Format, reason: impl fmt::Display) -> Self {
        Self::Invalid { format, reason: reason.to_string() }
    }

    pub(crate) fn decision(problem: impl Into<String>, option: impl Into<String>) -> Self {
        Self::Decision { problem: problem.into(), option: option.into() }
    }
}
