//! Errors, by the question that they answer: was the row accepted? is it stored? why did delivery
//! stop?
//!
//! `Display` states the whole cause, so that one line is enough. `source` begins after what
//! `Display` states, so that a printed chain states nothing twice.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use streamtable_schema::{NameError, Row, SchemaError};
use streamtable_transport::ApiKeyError;

use crate::{SettingsError, Stats};

/// Why some rows of a call were not accepted, or not written to disk.
///
/// Rows are refused one by one: all others were accepted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LogError {
    /// Number of accepted rows.
    pub accepted: usize,
    /// The refused rows, in the order of the call.
    pub refused: Vec<Refused>,
    /// Why the accepted rows may not survive the end of the process: the disk does not accept them.
    /// They wait in memory and are delivered like all others while the process runs; each further
    /// call tries to write them to disk again.
    pub at_risk: Option<String>,
}

/// A row that was not accepted, and why.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Refused {
    /// Its index in the call, starting at 0.
    pub index: usize,
    /// The row, returned to the caller; `None` if the value cannot be converted to a row, such as a
    /// number or a value that is nested too deeply.
    pub row: Option<Row>,
    /// Why it was refused.
    pub reason: Refusal,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reason) = &self.at_risk {
            let accepted = self.accepted;
            write!(f, "{accepted} rows were accepted, but are only in memory: {reason}")?;
        }
        let Some(first) = self.refused.first() else { return Ok(()) };
        if self.at_risk.is_some() {
            f.write_str("; ")?;
        }
        match (self.accepted, &self.refused[..]) {
            (0, [_]) => write!(f, "the row was refused: {}", first.reason),
            (accepted, refused) => write!(
                f,
                "{} of {} rows refused, the first at {}: {}",
                refused.len(),
                accepted + refused.len(),
                first.index,
                first.reason
            ),
        }
    }
}

impl Error for LogError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.refused.first()?.reason.source()
    }
}

/// Why a row was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The row does not match the table.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The row exceeds the size limit of all backends or of the buffer.
    #[error("the row has {bytes} bytes on the wire, at most {limit} are allowed")]
    TooLong {
        /// The size of the row.
        bytes: usize,
        /// The maximum.
        limit: usize,
    },
    /// The waiting rows use all the memory or disk space that they may.
    #[error(
        "the buffer is full: {bytes} of {limit} bytes wait to be delivered; log later, or choose to wait"
    )]
    Full {
        /// The bytes in use.
        bytes: u64,
        /// The maximum.
        limit: u64,
    },
    /// The journal cannot be written.
    #[error("the journal cannot be written: {reason}")]
    Journal {
        /// The message of the operating system.
        reason: String,
    },
    /// The backend has stopped accepting rows; rows accepted before stay in the journal.
    #[error("delivery has stopped: {0}; fix the cause and call `resume`")]
    Stopped(StopReason),
    /// The table is finished.
    #[error("the table is finished; open it again to log more")]
    Finished,
    /// The delivery task is gone: its runtime has ended, or the backend has panicked.
    #[error("the task that delivered the rows has ended; open the table again to log more")]
    DriverGone,
}

impl Refusal {
    /// Returns whether the same row may be accepted later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Full { .. } | Self::Journal { .. } | Self::Stopped(_) => true,
            Self::Schema(_) | Self::TooLong { .. } | Self::Finished | Self::DriverGone => false,
        }
    }
}

/// Why the backend stopped accepting rows, until the problem is fixed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// The key is invalid or expired: status 401.
    #[error("the server does not accept the API key ({message})")]
    Unauthorized {
        /// The server's message.
        message: String,
    },
    /// The key may not write to this table: status 403.
    #[error("the key may not write to this table ({message})")]
    Forbidden {
        /// The server's message.
        message: String,
    },
    /// The table does not exist any more: status 404 or 410.
    #[error("the table does not exist on the server ({message})")]
    NotFound {
        /// The server's message.
        message: String,
    },
    /// Another permanent error.
    #[error("the server refused the request ({message})")]
    Refused {
        /// The server's message.
        message: String,
    },
}

/// Why not all rows are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlushError {
    /// The accounting of the rows so far.
    pub stats: Box<Stats>,
    /// Why the call stopped waiting.
    pub reason: FlushFailure,
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { pending, media, .. } = *self.stats;
        let files = match media.pending {
            0 => String::new(),
            files => format!(" and {files} media files"),
        };
        write!(f, "{pending} rows{files} are not stored yet: {}", self.reason)
    }
}

impl Error for FlushError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.reason.source()
    }
}

/// Why a call stopped waiting for rows to be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlushFailure {
    /// The caller's timeout has passed; delivery continues.
    #[error("not done within {}{}", seconds(*waited), because(last_error))]
    Timeout {
        /// How long the call waited.
        waited: Duration,
        /// The most recent error, if there was one.
        last_error: Option<String>,
    },
    /// The caller stopped waiting; delivery continues.
    #[error("the wait was interrupted; delivery continues")]
    BrokenOff,
    /// The backend has stopped accepting rows; they stay in the journal.
    #[error("delivery has stopped: {0}")]
    Stopped(StopReason),
    /// The disk does not accept the rows of an [offline](crate::Builder::offline) table.
    #[error("the spool cannot be written: {reason}")]
    Spool {
        /// The message of the operating system.
        reason: String,
    },
    /// The delivery task is gone: its runtime has ended, or the backend has panicked.
    #[error("the task that delivered the rows has ended")]
    DriverGone,
}

fn because(last_error: &Option<String>) -> String {
    last_error.as_ref().map_or(String::new(), |error| format!(", because {error}"))
}

/// Returns a duration as text, rounded to tenths of a second.
fn seconds(duration: Duration) -> String {
    let tenths = (duration.as_secs_f64() * 10.0).round();
    format!("{} s", tenths / 10.0)
}

/// Why a table cannot be opened. If the name or the settings are invalid, nothing was created on
/// the server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name is not a valid table name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The settings of this machine are invalid.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The server's URL is invalid.
    #[error("cannot use the server's address: {reason}")]
    Address {
        /// Why it is invalid.
        reason: String,
    },
    /// The API key given to the builder cannot be sent in a header.
    #[error("the API key cannot be used: {0}")]
    Key(ApiKeyError),
    /// The default transport cannot be used.
    #[error("there is no transport: {reason}")]
    Transport {
        /// Why not.
        reason: String,
    },
    /// There is no API key.
    #[error("there is no API key for {host}: pass one, set WANDB_API_KEY, or put it into ~/.netrc")]
    NoKey {
        /// The server's host and port.
        host: String,
    },
    /// There is no entity, and the server has no default entity for this key.
    #[error("the entity is missing: write entity/project/table, or set WANDB_ENTITY")]
    NoEntity,
    /// The server refused permanently.
    #[error("cannot open the table: {0}")]
    Stopped(StopReason),
    /// The server was unreachable or busy until the call timed out.
    #[error("cannot open the table within {}: {reason}", seconds(*waited))]
    Unavailable {
        /// How long the call tried.
        waited: Duration,
        /// The most recent error.
        reason: String,
    },
    /// The type of the rows does not fit the table's columns.
    #[error("the type of the rows does not fit the table: {0}")]
    Columns(SchemaError),
    /// The spool cannot be created.
    #[error("cannot create the spool: {reason}")]
    Spool {
        /// What went wrong.
        reason: String,
    },
    /// An error of the backend.
    #[error("cannot open the table: {reason}")]
    Backend {
        /// Its message.
        reason: String,
    },
}

impl OpenError {
    /// Returns the error for a backend that cannot be reached now; the client calls it again until
    /// the caller's timeout.
    pub fn unavailable(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable { waited: Duration::ZERO, reason: whole(&*error.into()) }
    }

    /// Returns the error for a backend that cannot open the table.
    pub fn backend(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Backend { reason: whole(&*error.into()) }
    }
}

impl From<StopReason> for OpenError {
    fn from(reason: StopReason) -> Self {
        Self::Stopped(reason)
    }
}

impl From<SchemaError> for OpenError {
    fn from(error: SchemaError) -> Self {
        Self::Columns(error)
    }
}

impl From<ApiKeyError> for OpenError {
    fn from(error: ApiKeyError) -> Self {
        Self::Key(error)
    }
}

/// Returns an error and its sources as one line that states nothing twice.
pub(crate) fn whole(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let cause = source.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use streamtable_schema::{MediaError, Type, ValueError};

    use super::*;

    /// Checks that no source repeats what is stated above it, and that the last cause is stated.
    #[track_caller]
    fn check(error: impl Error + 'static, cause: &str) {
        let mut texts = vec![error.to_string()];
        let mut next = error.source();
        while let Some(source) = next {
            let text = source.to_string();
            assert!(!texts.iter().any(|above| above.contains(&text)), "{texts:?} then {text:?}");
            texts.push(text);
            next = source.source();
        }
        assert_eq!(texts.join(": ").matches(cause).count(), 1, "{texts:?}");
    }

    fn log_error(reason: Refusal) -> LogError {
        let refused = vec![Refused { index: 0, row: None, reason }];
        LogError { accepted: 0, refused, at_risk: None }
    }

    #[test]
    fn errors_state_their_cause_once() {
        let stopped = || StopReason::Forbidden { message: "read-only".to_owned() };
        let flush = |reason| FlushError { stats: Box::default(), reason };
        check(log_error(Refusal::Stopped(stopped())), "read-only");
        check(log_error(SchemaError::NotARow { found: Type::Int }.into()), "not int");
        let media = MediaError::Unreadable { path: "x.png".into(), reason: "gone".to_owned() };
        let value = SchemaError::Value { column: "image".to_owned(), error: media.into() };
        check(value.clone(), "gone");
        check(log_error(value.into()), "gone");
        let error = ValueError::IntegerRange { value: "9".to_owned() };
        check(SchemaError::Value { column: "n".to_owned(), error }, "integer 9");
        check(flush(FlushFailure::Stopped(stopped())), "read-only");
        check(flush(FlushFailure::Spool { reason: "full".to_owned() }), "full");
        check(OpenError::Stopped(stopped()), "read-only");
        check(OpenError::from("/".parse::<streamtable_schema::TableName>().unwrap_err()), "empty");
        let key = streamtable_transport::ApiKey::new("k\n").unwrap_err();
        check(OpenError::from(key.clone()), &key.to_string());
        let key = SettingsError::Key { source_name: "WANDB_API_KEY".to_owned(), error: key };
        check(OpenError::from(key), "WANDB_API_KEY");
        check(crate::AppendError::Stopped(stopped()), "read-only");
    }

    #[test]
    fn errors_of_a_backend_keep_their_sources() {
        let disk = std::io::Error::other("no space");
        let database = std::io::Error::other(MediaError::unreadable("x".as_ref(), &disk));
        let error = crate::AppendError::transient(database);
        assert_eq!(error.to_string(), "cannot read x: no space");
        assert_eq!(OpenError::backend("locked").to_string(), "cannot open the table: locked");
    }
}
