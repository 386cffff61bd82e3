//! Encoding of rows to history lines and their cell types in one pass.

mod container;
mod key;
mod line;
mod rows;
#[cfg(test)]
mod tests;
mod value;

use serde::Serialize;
use streamtable_schema::{Media, MediaError, Row, SchemaError, StoredFile, Timestamp, Type};

use crate::cell::write_timestamp;
use crate::json::{write_i64, write_str};
use line::{RowFailure, ToLine};
use rows::{RowsFailure, ToRows};

/// The columns that the protocol fills. A row may not use their names.
///
/// `_client_id`, `_timestamp`, `_step`, `_runtime` and `_wandb` belong to the protocol (notes §8);
/// a StreamTable server adds `_writer` and `_line` to the rows that it returns.
pub const RESERVED_COLUMNS: [&str; 7] =
    ["_client_id", "_line", "_runtime", "_step", "_timestamp", "_wandb", "_writer"];

/// Maximum length of a history line that the protocol's servers accept, in bytes: 10 MiB less 100
/// KiB.
///
/// Source: protocol notes §7.
pub const MAX_LINE_BYTES: usize = 10_383_360;

/// Callbacks of the encoder while it writes a row.
pub trait RowSink {
    /// Called once for each cell of the row, in its order, with the type that was written. The text of
    /// a [row's time](streamtable_schema::row_time_of_text) counts as an instant.
    ///
    /// An error stops the encoder, which returns it.
    fn cell(&mut self, column: &str, ty: &Type) -> Result<(), SchemaError>;

    /// Called for each media value that is not [stored](streamtable_schema::MediaSource::Stored)
    /// yet. Returns its file, and the value with the metadata of that file.
    fn media(&mut self, media: &Media) -> Result<(Media, StoredFile), MediaError>;
}

/// The writer of a row and the time of logging.
#[derive(Clone, Copy, Debug)]
pub struct Logged<'a> {
    /// The writer's id.
    pub writer: &'a str,
    /// The time at which `log` was called.
    pub at: Timestamp,
}

/// Appends a row to `out` as one history line, without a line end.
///
/// `row` may be anything that [`Row::from_serialize`] accepts: a struct, a map, or an enum variant
/// with content. The line contains the row's cells in order, then what the client adds: the writer's id,
/// a `timestamp` in milliseconds if the row has none, and the time of logging. On an error, `out` is
/// unchanged.
///
/// ```
/// use streamtable_schema::{Media, MediaError, SchemaError, StoredFile, Timestamp, Type, row};
/// use streamtable_wire::{Logged, RowSink, write_row};
///
/// struct Columns(Vec<String>);
///
/// impl RowSink for Columns {
///     fn cell(&mut self, column: &str, ty: &Type) -> Result<(), SchemaError> {
///         self.0.push(format!("{column}: {ty}"));
///         Ok(())
///     }
///
///     fn media(&mut self, media: &Media) -> Result<(Media, StoredFile), MediaError> {
///         unreachable!("{media:?} in a row without media")
///     }
/// }
///
/// let (mut line, mut columns) = (Vec::new(), Columns(Vec::new()));
/// let logged = Logged { writer: "w", at: Timestamp::from_millis(1500) };
/// write_row(&row! { "ms" => 7 }, logged, &mut line, &mut columns)?;
/// assert_eq!(columns.0, ["ms: int"]);
/// assert_eq!(
///     String::from_utf8(line)?,
///     r#"{"ms":7,"_client_id":"w","timestamp":{"_type":"_wt_::{\"type\": \"timestamp\"}","_val":1500},"_timestamp":1.500000}"#,
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_row<T: Serialize + ?Sized, S: RowSink>(
    row: &T,
    logged: Logged<'_>,
    out: &mut Vec<u8>,
    sink: &mut S,
) -> Result<(), SchemaError> {
    let start = out.len();
    let result = write_cells(row, logged, out, sink);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn write_cells<T: Serialize + ?Sized, S: RowSink>(
    row: &T,
    logged: Logged<'_>,
    out: &mut Vec<u8>,
    sink: &mut S,
) -> Result<(), SchemaError> {
    let start = out.len();
    let has_timestamp = match row.serialize(ToLine { out: &mut *out, sink: &mut *sink }) {
        Ok(has_timestamp) => has_timestamp,
        Err(RowFailure::Schema(error)) => return Err(error),
        Err(RowFailure::NotARow) => {
            // Rare: an enum variant or raw JSON text may still be a row. For anything else this
            // returns the error.
            out.truncate(start);
            return write_cells(&Row::from_serialize(row)?, logged, out, sink);
        }
    };
    // Every cell ends with a comma.
    out.extend_from_slice(br#""_client_id":"#);
    write_str(out, logged.writer);
    if !has_timestamp {
        out.extend_from_slice(br#","timestamp":"#);
        write_timestamp(out, Timestamp::from_millis(logged.at.as_millis()));
    }
    out.extend_from_slice(br#","_timestamp":"#);
    write_seconds(out, logged.at);
    out.push(b'}');
    Ok(())
}

/// Returns whether a cell `timestamp` is what [`write_row`] adds to a row that was logged at `logged_at`.
pub fn is_added_time(timestamp: Timestamp, logged_at: Timestamp) -> bool {
    timestamp == Timestamp::from_millis(logged_at.as_millis())
}

/// Writes a timestamp as seconds with six decimals.
fn write_seconds(out: &mut Vec<u8>, t: Timestamp) {
    if t.as_micros() < 0 {
        out.push(b'-');
    }
    let micros = t.as_micros().unsigned_abs();
    // The seconds are at most 9,223,372,036,854.
    write_i64(out, (micros / 1_000_000) as i64);
    out.push(b'.');
    let mut rest = micros % 1_000_000;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits);
}

/// Calls `take` with each row in `rows`: each element if it serializes as a sequence, otherwise
/// `rows` itself.
///
/// Stops at the first error.
pub fn for_each_row<T: Serialize + ?Sized, R: TakeRow>(
    rows: &T,
    take: &mut R,
) -> Result<(), R::Stop> {
    match rows.serialize(ToRows { take: &mut *take }) {
        Ok(()) => Ok(()),
        Err(RowsFailure::Stop(stop)) => Err(stop),
        Err(RowsFailure::OneRow) => take.take(rows),
    }
}

/// The callback of [`for_each_row`].
pub trait TakeRow {
    /// The error that stops the iteration.
    type Stop: std::fmt::Debug;

    /// Takes one row.
    fn take<T: Serialize + ?Sized>(&mut self, row: &T) -> Result<(), Self::Stop>;
}
