use std::time::Duration;

use http::StatusCode;
use streamtable_schema::NameError;
use streamtable_transport::TransportError;

use super::CellError;

/// Why rows cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A row does not fit the type that it is read as. The rows after it can still be read.
    #[error("row {row}: {error}")]
    Row {
        /// The position of the row in its table; in the result of a query, its number from 0.
        row: u64,
        /// The column, and the reason why its cell does not fit.
        error: CellError,
    },
    /// The name of the table is invalid.
    #[error("{0}")]
    Name(NameError),
    /// There is no entity, and the server has no default entity for this key.
    #[error("the entity is missing: write entity/project/table, or set WANDB_ENTITY")]
    NoEntity,
    /// The server refused the request: the SQL is wrong, the table does not exist, or the key may
    /// not read it.
    #[error("{message}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The server's message.
        message: String,
    },
    /// The request or its response was lost.
    #[error("{0}")]
    Transport(TransportError),
    /// The server has sent nothing for too long.
    #[error("the server has sent nothing for {after:?}")]
    Silent {
        /// How long.
        after: Duration,
    },
    /// The response is not one of a StreamTable server.
    #[error("{host} did not respond as a StreamTable server does: {reason}")]
    Answer {
        /// The server.
        host: String,
        /// The reason why the response is invalid.
        reason: String,
    },
}

impl ReadError {
    /// Returns whether the same request may succeed later, without any change.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::Transport(error) => error.is_retryable(),
            Self::Silent { .. } => true,
            Self::Row { .. } | Self::Name(_) | Self::NoEntity | Self::Answer { .. } => false,
        }
    }

    /// Returns whether the table does not exist, or is hidden from the key.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::NOT_FOUND, .. })
    }

    /// Returns the column that the error is about, if it is about one.
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::Row { error, .. } => Some(error.column()).filter(|column| !column.is_empty()),
            _ => None,
        }
    }
}

impl From<NameError> for ReadError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

impl From<TransportError> for ReadError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}
