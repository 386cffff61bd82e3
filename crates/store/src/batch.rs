//! What goes into a store, and what it says of it.

use bytes::Bytes;
use streamtable_schema::{ColumnPolicy, TablePath, Timestamp};

/// Consecutive lines of one writer, as a client sent them.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The table. It comes into being with its first batch.
    pub table: TablePath,
    /// Who wrote the lines, unless a line says so itself (its `_client_id`).
    pub writer: String,
    /// The number of the first line.
    pub first_line: u64,
    /// The lines: one JSON object each, as [`streamtable_wire::HistoryLine`] reads them.
    pub lines: Vec<Bytes>,
    /// What the line numbers mean.
    pub numbering: Numbering,
    /// What becomes of a row that does not fit the table's columns.
    pub columns: ColumnPolicy,
    /// When the batch came, by the server's clock.
    pub received_at: Timestamp,
}

/// What a line that came before means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// A line comes once: the same writer and number again are the same row, which is acked and not
    /// stored again.
    Once,
    /// A line may be written again: the same number with other content takes the place of what was
    /// there (the protocol's plain mode).
    Overwrite,
}

/// What became of a batch. All that is not rejected is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// How many rows are new.
    pub stored: u64,
    /// How many were there already.
    pub repeated: u64,
    /// Lines refused for good, in order. No other line suffers by it.
    pub rejected: Vec<RejectedLine>,
    /// The table's end: one more than the position of its last row.
    pub end: u64,
}

/// A line that a store refuses for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedLine {
    /// The line's number.
    pub line: u64,
    /// Why, for people.
    pub reason: String,
}
