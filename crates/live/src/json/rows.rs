//! JSON encoding of rows read from the store.

use streamtable_store::ReadRow;
use streamtable_wire::api::{self, RowHead};

/// Writes a row as one JSON object without a line end: position, writer, line and time, then the
/// cells in the order of the table's columns. The time is `_timestamp` if the row has another cell
/// `timestamp`.
pub fn write_row(out: &mut Vec<u8>, row: &ReadRow) {
    let ReadRow { position, writer, line, logged_at, step, row, .. } = row;
    let (position, line, step, logged_at) = (*position, *line, *step, *logged_at);
    api::write_row(out, RowHead { position, writer, line, step, logged_at }, row);
}
