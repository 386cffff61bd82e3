//! Why the catalog did not do what it was asked.

use rusqlite::ErrorCode;

/// Why the catalog did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// It cannot be read or written now; the same call may succeed later.
    #[error("the catalog cannot be used now: {reason}")]
    Unavailable {
        /// What the system said.
        reason: String,
    },
    /// What was asked makes no sense, or is not there.
    #[error("{message}")]
    Refused {
        /// Why, for people.
        message: String,
    },
    /// A newer version of the program wrote it.
    #[error("the catalog has version {version}, which this program does not know")]
    Newer {
        /// Its version.
        version: i64,
    },
    /// Its files are damaged.
    #[error("the catalog is damaged: {reason}")]
    Damaged {
        /// The damage that was found.
        reason: String,
    },
    /// It has no keys any more, although it had some.
    #[error("the catalog is lost: {reason}")]
    Lost {
        /// How this was noticed, and what can be done.
        reason: String,
    },
    /// It failed.
    #[error("the catalog failed: {reason}")]
    Failed {
        /// What the system said.
        reason: String,
    },
}

impl CatalogError {
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::Refused { message: message.into() }
    }
}

impl From<std::io::Error> for CatalogError {
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

impl From<rusqlite::Error> for CatalogError {
    fn from(error: rusqlite::Error) -> Self {
        let reason = error.to_string();
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::OutOfMemory,
            ) => Self::Unavailable { reason },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged { reason },
            _ => Self::Failed { reason },
        }
    }
}
