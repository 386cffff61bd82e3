//! The choices that a program makes when it opens a table.

use streamtable_schema::Row;

use crate::spool::SpoolConfig;

/// Where rows wait until the backend has stored them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Buffering {
    /// On disk, if the settings [contain a folder](crate::Settings::spool_dir) and it is usable;
    /// otherwise in memory. Rows for a [`backend`](crate::Builder::backend) of the caller wait in
    /// memory.
    #[default]
    SpoolIfPossible,
    /// In memory. Rows that are not stored yet are lost when the process ends.
    Memory,
    /// On disk, with this configuration. `open` fails if that is impossible.
    Spool(SpoolConfig),
    /// On disk, with this configuration, and they are not sent: neither a server nor a key is
    /// needed. The next process that opens the table delivers them, or
    /// [`spool::sync`](crate::spool::sync).
    ///
    /// The table name must be complete, including the entity.
    Offline(SpoolConfig),
}

/// What `log` does if the buffer of waiting rows is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// Refuses the row and returns it to the caller.
    #[default]
    Refuse,
    /// Waits until there is space.
    Wait,
}

/// What `open` does if the server is unreachable or busy until the call times out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenUnreachable {
    /// Fails with an error.
    #[default]
    Fail,
    /// Opens the table; rows wait until the server is reachable. The name must be complete,
    /// including the entity. Until the server has seen the rows, they are only checked against the
    /// columns of this process's rows.
    LogAnyway,
}

/// What `log` does after delivery has stopped, for example because the key was revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenStopped {
    /// Refuses rows with [`Refusal::Stopped`](crate::Refusal::Stopped).
    #[default]
    Refuse,
    /// Accepts rows as long as the spool has space for them; without a spool, refuses them. They are
    /// delivered after [`resume`](crate::StreamTable::resume), when the table is next opened, or by
    /// [`spool::sync`](crate::spool::sync()).
    LogAnyway,
}

/// A row that the backend rejected permanently after `log` had accepted it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rejected {
    /// The row, as the backend received it.
    pub row: Row,
    /// The row as JSON, including the protocol's own fields.
    pub line: String,
    /// The reason given by the backend.
    pub reason: String,
}

/// A media file that the backend rejected permanently. The cells that refer to it show no media.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RejectedMedia {
    /// The file's path below the table's files, as in the cells.
    pub path: String,
    /// The reason given by the backend.
    pub reason: String,
}
