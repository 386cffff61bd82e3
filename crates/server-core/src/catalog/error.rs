//! Errors of the catalog.

use std::path::Path;

use rusqlite::ErrorCode;

/// Why a catalog operation failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The catalog cannot be read or written now; a retry may succeed.
    #[error("the catalog is unavailable: {reason}")]
    Unavailable {
        /// The message of the operating system or the database.
        reason: String,
    },
    /// The request is invalid, or its target does not exist.
    #[error("{message}")]
    Refused {
        /// The reason, for people.
        message: String,
    },
    /// A newer version of the program wrote the catalog.
    #[error("the catalog has version {version}, which is newer than this program supports")]
    Newer {
        /// The version of the catalog.
        version: i64,
    },
    /// The catalog's files are damaged.
    #[error("the catalog is damaged: {reason}")]
    Damaged {
        /// The damage that was found.
        reason: String,
    },
    /// The catalog has no keys, although it had some.
    #[error("the catalog is lost: {reason}")]
    Lost {
        /// How this was noticed, and what can be done.
        reason: String,
    },
    /// The catalog failed in a way that a retry does not fix.
    #[error("the catalog failed: {reason}")]
    Failed {
        /// The message of the operating system or the database.
        reason: String,
    },
}

impl CatalogError {
    /// Creates an error for an invalid request.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused { message: message.into() }
    }

    /// Adds the file to an error of the operating system or the database.
    #[must_use]
    pub(super) fn at(self, file: &Path) -> Self {
        let named = |reason: String| format!("{}: {reason}", file.display());
        match self {
            Self::Unavailable { reason } => Self::Unavailable { reason: named(reason) },
            Self::Failed { reason } => Self::Failed { reason: named(reason) },
            other => other,
        }
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
