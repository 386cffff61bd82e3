//! What a caller may ask when something failed: was the row taken? is it stored? why did it stop?

use std::fmt;
use std::time::Duration;

use streamtable_schema::{NameError, Row, SchemaError};
use streamtable_transport::ApiKeyError;

use crate::{SettingsError, Stats};

/// Why not every row of a call was taken, or not as safely as it should be.
///
/// The others were: a row is refused alone.
#[derive(Clone, Debug, PartialEq)]
pub struct LogError {
    /// How many rows of the call were accepted.
    pub accepted: usize,
    /// The rows that were not, in the order of the call.
    pub refused: Vec<Refused>,
    /// Why the accepted rows may not survive the process: the disk does not take them. They wait in
    /// memory, and are delivered like all others as long as the process lives; each further call
    /// tries the disk again.
    pub at_risk: Option<String>,
}

/// A row that was not taken, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// Its place in the call, from 0.
    pub index: usize,
    /// The row, handed back; absent when what was given cannot be made one, such as a bare number
    /// or a value that nests absurdly deep.
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

impl std::error::Error for LogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.refused.first().map(|refused| &refused.reason as _)
    }
}

/// Why a row was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The row does not fit the table.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The row is longer than any backend takes, or than the buffer.
    #[error("the row has {bytes} bytes on the wire, at most {limit} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest allowed.
        limit: usize,
    },
    /// The rows that wait fill the memory or the disk that they may.
    #[error(
        "the buffer is full: {bytes} of {limit} bytes wait to be delivered; log later, or choose to wait"
    )]
    Full {
        /// How many bytes wait.
        bytes: u64,
        /// How many may.
        limit: u64,
    },
    /// The rows' journal cannot be written.
    #[error("the journal cannot be written: {reason}")]
    Journal {
        /// What the system said.
        reason: String,
    },
    /// The backend wants no more; rows that were taken before are kept.
    #[error("the stream has stopped: {0}; put it right and call `resume`")]
    Stopped(StopReason),
    /// The table was finished.
    #[error("the table is finished; open it again to log more")]
    Finished,
    /// Nobody delivers any more: the runtime that did has ended, or the backend has panicked.
    #[error("the task that delivered the rows has ended; open the table again to log more")]
    DriverGone,
}

impl Refusal {
    /// Tells whether the same row may be taken later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Full { .. } | Self::Journal { .. } | Self::Stopped(_) => true,
            Self::Schema(_) | Self::TooLong { .. } | Self::Finished | Self::DriverGone => false,
        }
    }
}

/// Why the backend wants no more, until somebody puts something right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// The key is wrong or expired: status 401.
    #[error("the server does not accept the API key ({message})")]
    Unauthorized {
        /// What the server said.
        message: String,
    },
    /// The key may not write here: status 403.
    #[error("the key has no right to write to this table ({message})")]
    Forbidden {
        /// What the server said.
        message: String,
    },
    /// The table is gone: status 404 or 410.
    #[error("the server does not know the table ({message})")]
    NotFound {
        /// What the server said.
        message: String,
    },
    /// Any other word that a repetition would not change.
    #[error("the server refused ({message})")]
    Refused {
        /// What the server said.
        message: String,
    },
}

/// Why rows are not, or not all, stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlushError {
    /// What became of the rows so far.
    pub stats: Box<Stats>,
    /// Why the call waits no longer.
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

impl std::error::Error for FlushError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}

/// Why a call waits no longer for rows to be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlushFailure {
    /// The time that the caller gave is over; delivery goes on.
    #[error("not done within {waited:?}{}", because(last_error))]
    Timeout {
        /// How long the call waited.
        waited: Duration,
        /// What went wrong last, if anything did.
        last_error: Option<String>,
    },
    /// The caller chose not to wait any longer; delivery goes on.
    #[error("the wait was broken off; delivery goes on")]
    BrokenOff,
    /// The backend wants no more; the rows are kept.
    #[error("the stream has stopped: {0}")]
    Stopped(StopReason),
    /// The disk does not take the rows of a table that is [offline](crate::Builder::offline).
    #[error("the spool cannot be written: {reason}")]
    Spool {
        /// What the system said.
        reason: String,
    },
    /// Nobody delivers any more: the runtime that did has ended, or the backend has panicked.
    #[error("the task that delivered the rows has ended")]
    DriverGone,
}

fn because(last_error: &Option<String>) -> String {
    last_error.as_ref().map_or(String::new(), |error| format!(", because {error}"))
}

/// Why a table cannot be opened. Nothing was made on the server when the name or the settings are
/// at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name is not one of a table.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The settings of this machine cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// An address is not one of a server.
    #[error("cannot use the server's address: {reason}")]
    Address {
        /// What is wrong with it.
        reason: String,
    },
    /// The API key given to the builder cannot be sent in a header.
    #[error("the API key cannot be used: {0}")]
    Key(#[from] ApiKeyError),
    /// The default transport cannot be used.
    #[error("there is no transport: {reason}")]
    Transport {
        /// Why not.
        reason: String,
    },
    /// There is no key: nothing says who logs.
    #[error("there is no API key for {host}: pass one, set WANDB_API_KEY, or put it into ~/.netrc")]
    NoKey {
        /// The server's host and port.
        host: String,
    },
    /// There is no entity, and the server knows none for this key.
    #[error("the entity is missing: write entity/project/table, or set WANDB_ENTITY")]
    NoEntity,
    /// The server refused, as it will again.
    #[error("cannot open the table: {0}")]
    Stopped(#[from] StopReason),
    /// The server could not be reached, or was too busy, for as long as the call may take.
    #[error("cannot open the table within {waited:?}: {reason}")]
    Unavailable {
        /// How long the call tried.
        waited: Duration,
        /// What went wrong last.
        reason: String,
    },
    /// The spool cannot be made.
    #[error("cannot keep rows on disk: {reason}")]
    Spool {
        /// What went wrong.
        reason: String,
    },
    /// The backend's own trouble.
    #[error("cannot open the table: {reason}")]
    Backend {
        /// What it said.
        reason: String,
    },
}
