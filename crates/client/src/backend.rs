//! The trait that backends implement, with its requests and responses.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use streamtable_schema::{ColumnPolicy, Schema, TableName, TablePath, Type};

use crate::error::whole;
use crate::{Lines, OpenError, StopReason};

/// Stores the rows of tables.
///
/// The client calls it from one task per table. The client also decides what to retry and when, so
/// a backend should not retry. Only [`append`](Self::append) is required.
///
/// ```
/// use streamtable::{Append, AppendError, Appended, Backend, StreamTable, async_trait, row};
///
/// /// Prints rows instead of storing them.
/// #[derive(Debug)]
/// struct Print;
///
/// #[async_trait]
/// impl Backend for Print {
///     async fn append(&self, append: Append) -> Result<Appended, AppendError> {
///         for (line, text) in append.rows() {
///             println!("{} {line}: {text}", append.table);
///         }
///         Ok(Appended::default())
///     }
/// }
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let table = StreamTable::builder("me/project/table").backend(Print).open().await?;
///     table.log(row! { "path" => "/", "ms" => 7 }).await?;
///     assert_eq!(table.finish().await?.acked, 1);
///     Ok(())
/// }
/// ```
///
/// The feature `conformance` tests a backend: `conformance::Suite`. `examples/sqlite-backend` is one
/// that stores each row once in a database.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync {
    /// Returns what identifies the destination of the rows, such as the address of a database.
    ///
    /// Rows in a spool are only delivered to a backend with the identity under which they were
    /// written. It must be the same after a restart of the program, must differ between
    /// destinations, and must contain no secret, because it is part of the spool's path. Without an
    /// identity, which is the default, [`SpoolConfig::server`](crate::spool::SpoolConfig::server)
    /// must be set to use a spool.
    fn identity(&self) -> Option<String> {
        None
    }

    /// Creates a table if it does not exist, and returns its columns and URLs.
    ///
    /// Called once, before anything else, and again while the backend is
    /// [busy](OpenError::Unavailable), until the caller's timeout. The default implementation
    /// accepts every table with a complete name, and reports no columns.
    async fn open(&self, open: Open) -> Result<Opened, OpenError> {
        Ok(Opened::new(open.name.to_path()?))
    }

    /// Stores consecutive lines of one writer.
    ///
    /// `Ok` means that the lines are stored, except the rejected ones and those from
    /// [`Appended::end`] on. If the response was an error or was lost, the same lines are sent again
    /// with the same numbers: a backend that deduplicates by (table, writer, line) stores each line
    /// once. There is never more than one call at a time for a writer.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// Stores media files of a table.
    ///
    /// File names are derived from the content, so storing a file twice changes nothing. Rejected
    /// files are identified by their index in `files`. The default implementation rejects all
    /// files.
    async fn upload(&self, upload: Upload) -> Result<Appended, AppendError> {
        let _ = upload;
        Err(AppendError::Refused { message: "this backend accepts no media".to_owned() })
    }

    /// Called when the writer has finished: all its rows are stored and no more will follow.
    ///
    /// Other writers of the same table may continue. The default implementation does nothing.
    async fn finish(&self, table: &TablePath) -> Result<(), AppendError> {
        let _ = table;
        Ok(())
    }
}

#[async_trait]
impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn identity(&self) -> Option<String> {
        (**self).identity()
    }

    async fn open(&self, open: Open) -> Result<Opened, OpenError> {
        (**self).open(open).await
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        (**self).append(append).await
    }

    async fn upload(&self, upload: Upload) -> Result<Appended, AppendError> {
        (**self).upload(upload).await
    }

    async fn finish(&self, table: &TablePath) -> Result<(), AppendError> {
        (**self).finish(table).await
    }
}

/// A request to open a table.
#[derive(Clone, Debug)]
pub struct Open {
    /// The table name as given by the caller; parts may be missing.
    pub name: TableName,
    /// Time limit of this attempt.
    pub timeout: Duration,
}

/// The backend's information about a table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The full path of the table.
    pub table: TablePath,
    /// The number of the writer's first line.
    pub first_line: u64,
    /// The columns that the table already has, in order.
    pub columns: Vec<(String, Type)>,
    /// The URL of the table's page.
    pub panel_url: Option<String>,
    /// The URL of the page of the run that holds the table's rows.
    pub rows_url: Option<String>,
    /// The minimum time between two appends that the backend asks for.
    pub pace: Duration,
}

impl Opened {
    /// Creates the description of a table about which only the path is known.
    pub fn new(table: TablePath) -> Self {
        Self {
            table,
            first_line: 0,
            columns: Vec::new(),
            panel_url: None,
            rows_url: None,
            pace: Duration::ZERO,
        }
    }

    /// Sets the number of the writer's first line.
    #[must_use]
    pub fn with_first_line(mut self, first_line: u64) -> Self {
        self.first_line = first_line;
        self
    }

    /// Sets the columns that the table already has, in order.
    #[must_use]
    pub fn with_columns(mut self, columns: Vec<(String, Type)>) -> Self {
        self.columns = columns;
        self
    }

    /// Sets the columns that the table already has to those of a schema.
    #[must_use]
    pub fn with_schema(self, schema: &Schema) -> Self {
        let columns = schema.columns().iter();
        self.with_columns(columns.map(|c| (c.name.to_string(), c.ty.clone())).collect())
    }

    /// Sets the URL of the table's page.
    #[must_use]
    pub fn with_panel_url(mut self, url: String) -> Self {
        self.panel_url = Some(url);
        self
    }

    /// Sets the minimum time between two appends.
    #[must_use]
    pub fn with_pace(mut self, pace: Duration) -> Self {
        self.pace = pace;
        self
    }
}

/// A request to store lines.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Append {
    /// The table.
    pub table: TablePath,
    /// The writer.
    pub writer: Arc<str>,
    /// The number of the first line. Counting starts at the number that the backend returned from
    /// [`open`](Backend::open).
    pub first_line: u64,
    /// The lines, in the format that [`streamtable_wire::HistoryLine`] parses.
    pub lines: Lines,
    /// The policy for columns that the table does not have, if the backend supports one.
    pub columns: ColumnPolicy,
    /// Time limit of this attempt. If the backend exceeds it, the call is dropped.
    pub timeout: Duration,
}

impl Append {
    /// Returns the number of each line, and its text: JSON that [`HistoryLine::parse`] reads.
    ///
    /// [`HistoryLine::parse`]: streamtable_wire::HistoryLine::parse
    pub fn rows(&self) -> impl Iterator<Item = (u64, &str)> {
        // The client writes UTF-8. Other text would be refused by the parser like an empty one.
        let texts = self.lines.iter().map(|line| std::str::from_utf8(line).unwrap_or_default());
        (self.first_line..).zip(texts)
    }
}

/// The result of an append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appended {
    /// Permanently rejected lines, by number, with the reason. They are not sent again. A response
    /// that rejects a line that was not sent is ignored, and the lines are sent again.
    pub rejected: Vec<(u64, String)>,
    /// The number after the last line that this response covers: the client drops the lines before
    /// it and sends the others again. `None` covers all lines.
    ///
    /// A response that covers no line, or lines that were not sent, is ignored, and the lines are
    /// sent again.
    pub end: Option<u64>,
    /// How long to wait before the next append, if the backend asks for it.
    pub pause: Duration,
}

impl Appended {
    /// Adds permanently rejected lines, by number, with the reason.
    #[must_use]
    pub fn with_rejected(mut self, rejected: Vec<(u64, String)>) -> Self {
        self.rejected = rejected;
        self
    }

    /// Subtracts `base` from all line numbers. Numbers below it become numbers that were not sent,
    /// so that the response is not accepted.
    pub(crate) fn relative_to(self, base: u64) -> Self {
        Self {
            // Zero covers no line.
            end: self.end.map(|end| end.saturating_sub(base)),
            rejected: self
                .rejected
                .into_iter()
                .map(|(line, why)| (line.checked_sub(base).unwrap_or(u64::MAX), why))
                .collect(),
            ..self
        }
    }

    /// Sets the number after the last line that the response covers.
    #[must_use]
    pub fn with_end(mut self, end: u64) -> Self {
        self.end = Some(end);
        self
    }

    /// Sets how long to wait before the next append.
    #[must_use]
    pub fn with_pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }
}

/// A request to store media files.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Upload {
    /// The table.
    pub table: TablePath,
    /// The files.
    pub files: Vec<MediaFile>,
    /// Time limit of this attempt. If the backend exceeds it, the call is dropped.
    pub timeout: Duration,
}

/// A media file to upload.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MediaFile {
    /// The file's path below the table's files.
    pub path: Arc<str>,
    /// The content.
    pub bytes: Bytes,
}

/// Why an append or upload failed, in the categories that determine what happens next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// A retry may succeed. The lines may already be stored.
    #[error("{message}")]
    Transient {
        /// What went wrong.
        message: String,
        /// The minimum delay that the backend asks for.
        retry_after: Option<Duration>,
    },
    /// The request is too large: half of it may succeed.
    #[error("the request is larger than the server accepts")]
    TooLarge,
    /// A line is invalid and will never be accepted. The client sends halves to find it.
    #[error("the server refused the request ({message})")]
    Refused {
        /// The backend's message.
        message: String,
    },
    /// Nothing will succeed until a problem is fixed.
    #[error(transparent)]
    Stopped(StopReason),
}

impl AppendError {
    /// Returns the error for a failed attempt that is repeated, with the whole chain of causes.
    ///
    /// ```
    /// use std::io::Write;
    /// use streamtable::AppendError;
    ///
    /// fn store(file: &mut std::fs::File, text: &str) -> Result<(), AppendError> {
    ///     file.write_all(text.as_bytes()).map_err(AppendError::transient)
    /// }
    /// ```
    pub fn transient(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Transient { message: whole(&*error.into()), retry_after: None }
    }
}
