//! Where rows go: the trait that a backend implements, and what it is told and answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use streamtable_schema::{ColumnPolicy, TableName, TablePath, Type};

use crate::{Lines, OpenError, StopReason};

/// Stores the rows of tables.
///
/// The client calls it, from one task a table; the client also decides what to repeat and when, so
/// a backend should not. [`append`](Self::append) is all that a backend must have.
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
    /// Makes sure that a table is there, and tells what is known of it.
    ///
    /// Called once, before anything else, and again when it was [busy](OpenError::Unavailable)
    /// until the caller's time is over. By default any table is there and nothing is known of it;
    /// then the name must be whole.
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

    /// Stores media files beside a table.
    ///
    /// Their names are given by their contents, so storing one twice changes nothing. Rejected
    /// files are named by their place in `files`. By default a backend takes no media.
    async fn upload(&self, upload: Upload) -> Result<Appended, AppendError> {
        let _ = upload;
        Err(AppendError::Refused { message: "this backend takes no media".to_owned() })
    }

    /// Hears that the writer has finished: all its rows are stored and no more will come.
    ///
    /// Other writers of the same table may go on. By default nothing is done.
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

/// What a backend is asked to open.
#[derive(Clone, Debug)]
pub struct Open {
    /// The table, as far as the caller named it.
    pub name: TableName,
    /// How long this attempt may take.
    pub timeout: Duration,
}

/// What a backend knows of a table.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The table, with entity and project.
    pub table: TablePath,
    /// The number from which the writer counts its lines.
    pub first_line: u64,
    /// The columns that the table has already, in their order.
    pub columns: Vec<(String, Type)>,
    /// Where people look at the table.
    pub panel_url: Option<String>,
    /// Where people look at what holds the table's rows.
    pub rows_url: Option<String>,
    /// The shortest time between two appends that the backend likes.
    pub pace: Duration,
}

impl Opened {
    /// Describes a table of which nothing is known but its name.
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

/// Lines to store.
#[derive(Clone, Debug)]
pub struct Append {
    /// The table.
    pub table: TablePath,
    /// The writer.
    pub writer: Arc<str>,
    /// The number of the first line, counted from what the backend gave at
    /// [`open`](Backend::open).
    pub first_line: u64,
    /// The lines, in the form that [`streamtable_wire::HistoryLine`] reads.
    pub lines: Lines,
    /// What the backend should do with columns that the table lacks, if it has a say.
    pub columns: ColumnPolicy,
    /// How long this attempt may take. A backend that does not keep to it is cut off.
    pub timeout: Duration,
}

/// What became of an append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// What is refused for good, by number, and why. It is not sent again.
    pub rejected: Vec<(u64, String)>,
    /// The number after the last line that this answer covers, if that may be fewer than were sent:
    /// the client forgets the lines before it, and sends the others again. `None` covers all.
    ///
    /// An answer that covers no line, or lines that were not sent, is taken for none.
    pub end: Option<u64>,
    /// How long to wait before the next append, where the backend asks for it.
    pub pause: Duration,
}

/// Media files to store.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The table.
    pub table: TablePath,
    /// The files.
    pub files: Vec<MediaFile>,
    /// How long this attempt may take. A backend that does not keep to it is cut off.
    pub timeout: Duration,
}

/// A media file on its way to a backend.
#[derive(Clone, Debug)]
pub struct MediaFile {
    /// The file's path below the table's files.
    pub path: Arc<str>,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Why an append or upload did not succeed, as far as it decides what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// It may succeed later. The lines may have been stored all the same.
    #[error("{message}")]
    Transient {
        /// What went wrong.
        message: String,
        /// How long the backend asks to wait at least.
        retry_after: Option<Duration>,
    },
    /// It was too much at once: half may succeed.
    #[error("the request is larger than the server takes")]
    TooLarge,
    /// Something in it is not acceptable, and never will be: halves tell which line.
    #[error("the server refused ({message})")]
    Refused {
        /// What the backend said.
        message: String,
    },
    /// Nothing will succeed until somebody puts something right.
    #[error(transparent)]
    Stopped(StopReason),
}
