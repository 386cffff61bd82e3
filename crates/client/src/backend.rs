//! The trait that backends implement, with its requests and responses.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use streamtable_schema::{ColumnPolicy, TableName, TablePath, Type};

use crate::{Lines, OpenError, StopReason};

/// Stores the rows of tables.
///
/// The client calls it from one task per table. The client also decides what to retry and when, so
/// a backend should not retry. Only [`append`](Self::append) is required.
///
/// ```
/// use async_trait::async_trait;
/// use streamtable::{Append, AppendError, Appended, Backend, StreamTable, row};
///
/// /// Prints rows instead of storing them.
/// #[derive(Debug)]
/// struct Print;
///
/// #[async_trait]
/// impl Backend for Print {
///     async fn append(&self, append: Append) -> Result<Appended, AppendError> {
///         for (line, text) in (append.first_line..).zip(append.lines.iter()) {
///             println!("{} {line}: {}", append.table, String::from_utf8_lossy(text));
///         }
///         Ok(Appended::default())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let table = StreamTable::builder("me/project/table").backend(Print).open().await?;
/// table.log(row! { "path" => "/", "ms" => 7 }).await?;
/// assert_eq!(table.finish().await?.acked, 1);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync {
    /// Creates a table if it does not exist, and returns what is known about it.
    ///
    /// Called once, before anything else, and again while the backend is
    /// [busy](OpenError::Unavailable), until the caller's timeout. The default implementation
    /// accepts every table, of which the name must be complete, and knows nothing about it.
    async fn open(&self, open: Open) -> Result<Opened, OpenError> {
        Ok(Opened::new(open.name.to_path()?))
    }

    /// Stores consecutive lines of one writer.
    ///
    /// Answering `Ok` says that they are stored, except those that are named as rejected and those
    /// from [`Appended::end`] on. The same lines come again, under the same numbers, when an answer was an error or got lost: a
    /// backend that tells (table, writer, line) apart stores each once. While one call for a
    /// writer runs there is no other.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// Stores media files of a table.
    ///
    /// File names are derived from the content, so storing a file twice changes nothing. Rejected
    /// files are identified by their index in `files`. The default implementation rejects all
    /// files.
    async fn upload(&self, upload: Upload) -> Result<Appended, AppendError> {
        let _ = upload;
        Err(AppendError::Refused { message: "this backend takes no media".to_owned() })
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

/// What a backend knows about a table.
#[derive(Clone, Debug)]
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
    /// Describes a table of which only the path is known.
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
}

/// A request to store lines.
#[derive(Clone, Debug)]
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

/// The result of an append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Permanently rejected lines, by number, with the reason. They are not sent again.
    pub rejected: Vec<(u64, String)>,
    /// The number after the last line that this answer covers, if that may be fewer than were sent:
    /// the client forgets the lines before it, and sends the others again. `None` covers all.
    ///
    /// An answer that covers no line, or lines that were not sent, is taken for none.
    pub end: Option<u64>,
    /// How long to wait before the next append, where the backend asks for it.
    pub pause: Duration,
}

/// A request to store media files.
#[derive(Clone, Debug)]
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
    #[error("the request is larger than the server takes")]
    TooLarge,
    /// A line is not acceptable and never will be; sending halves finds it.
    #[error("the server refused ({message})")]
    Refused {
        /// The backend's message.
        message: String,
    },
    /// Nothing will succeed until a problem is fixed.
    #[error(transparent)]
    Stopped(StopReason),
}
