//! The batches that a store accepts, and its answers.

use bytes::Bytes;
use streamtable_schema::{ColumnPolicy, TablePath, Timestamp};

/// Consecutive lines of one writer, as a client sent them.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The table. It is created by its first batch.
    pub table: TablePath,
    /// The writer of the lines, unless a line names another one (its `_client_id`). A line whose
    /// writer fails [`check_writer`] is rejected, unless it may be overwritten.
    pub writer: String,
    /// The number of the first line; the others are numbered consecutively.
    pub first_line: LineNumber,
    /// The lines. Each is a JSON object, as [`streamtable_wire::HistoryLine`] reads it, or a
    /// [binary](streamtable_wire::binary) line.
    pub lines: Vec<Bytes>,
    /// How line numbers that were used before are handled.
    pub on_duplicate: OnDuplicate,
    /// How rows that do not fit the table's columns are handled.
    pub columns: ColumnPolicy,
    /// When the batch arrived, by the server's clock.
    pub received_at: Timestamp,
}

/// The number of a line among the lines of its writer.
///
/// Invariant: less than [`END`](Self::END), so that it fits a signed column of 64 bits and the number
/// after it can always be computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineNumber(u64);

impl LineNumber {
    /// One more than the highest line number: 2⁶³.
    pub const END: u64 = 1 << 63;

    /// Checks a number.
    pub fn new(number: u64) -> Result<Self, LineNumberError> {
        if number < Self::END { Ok(Self(number)) } else { Err(LineNumberError { number }) }
    }

    /// Returns the number as an integer.
    pub fn get(self) -> u64 {
        self.0
    }

    /// Returns one more than the last of `count` numbers that begin with this one, if each of them is
    /// a line number.
    pub fn end_of(self, count: usize) -> Result<u64, LineNumberError> {
        // The number of items in memory is less than 2⁶³, so the sum does not overflow.
        let end = self.0.saturating_add(count as u64);
        if end <= Self::END { Ok(end) } else { Err(LineNumberError { number: end - 1 }) }
    }
}

impl From<u32> for LineNumber {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

/// The error for a number that is not a line number, because line numbers end at 2⁶³.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{number} is not a line number: they are less than 2^63")]
pub struct LineNumberError {
    /// The number.
    pub number: u64,
}

/// How a line number that was used before is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDuplicate {
    /// Line numbers are unique: a line with the same writer and number is the same row, which is
    /// acked and not stored again.
    Ignore,
    /// A line may be overwritten: the same number with other content replaces the earlier row (the
    /// protocol's plain mode). The writer of such lines has the table's name.
    Replace,
}

/// Checks the name of a writer whose lines may not be overwritten: it may not be the table's name.
///
/// That name belongs to the lines that may be overwritten ([`OnDuplicate::Replace`]). Under the same
/// name, other lines with the same numbers would be taken for repetitions of those, and acked
/// without being stored.
pub fn check_writer(table: &TablePath, writer: &str) -> Result<(), ReservedWriter> {
    if writer != table.table() {
        return Ok(());
    }
    Err(ReservedWriter { writer: writer.to_owned() })
}

/// The error for a writer that is named like its table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a writer may not be named {writer:?}, like its table: use another name, such as a UUID")]
pub struct ReservedWriter {
    /// The name.
    pub writer: String,
}

/// The result of a batch. All lines that are not rejected are durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// The number of new rows.
    pub stored: u64,
    /// The number of rows that were already stored.
    pub repeated: u64,
    /// Lines that are rejected permanently, in order. Other lines are not affected.
    pub rejected: Vec<RejectedLine>,
    /// The table's end: one more than the position of its last row.
    pub end: u64,
}

/// A line that a store rejects permanently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedLine {
    /// The line's number.
    pub line: u64,
    /// The reason, for people.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_numbers_end_at_2_to_the_63() {
        #[track_caller]
        fn check(first: u64, count: usize, expected: Result<u64, u64>) {
            let end = LineNumber::new(first).and_then(|first| first.end_of(count));
            assert_eq!(end.map_err(|error| error.number), expected);
        }
        let end = 1 << 63;
        check(0, 0, Ok(0));
        check(7, 3, Ok(10));
        check(end - 2, 2, Ok(end));
        check(end - 1, 0, Ok(end - 1));
        check(end - 1, 2, Err(end));
        check(end, 0, Err(end));
        check(u64::MAX - 1, 2, Err(u64::MAX - 1));
        check(u64::MAX, 1, Err(u64::MAX));
    }
}
