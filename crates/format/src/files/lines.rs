//! JSON rows that StreamTable itself wrote: history lines of a spool, and records of rejected rows.

use streamtable_schema::{Row, Value};
use streamtable_wire::read_cells;

use crate::json;

/// Parses the text of one row. The protocol's cells are decoded to timestamps and media, and the record of a
/// rejected row is replaced by that row.
pub(super) fn row(text: &[u8]) -> Result<Row, String> {
    let row = json::row(text)?;
    let row = match rejected(&row) {
        Some(row) => row?,
        None => row,
    };
    Ok(row.into_iter().map(|(name, value)| (name, read_cells(value))).collect())
}

/// Returns the row in a record of a rejected row: writer, line, reason, and the row or its text.
fn rejected(record: &Row) -> Option<Result<Row, String>> {
    let [("writer", Value::String(_)), ("line", Value::Int(_)), ("reason", Value::String(_)), last] =
        <[_; 4]>::try_from(record.cells().collect::<Vec<_>>()).ok()?
    else {
        return None;
    };
    let row = match last {
        ("row", Value::Struct(row)) => Ok(row.clone()),
        ("text", Value::String(text)) => json::row(text.as_bytes()),
        _ => return None,
    };
    // Only history lines have the id of their writer.
    let is_line = row.as_ref().map_or(true, |row| row.get("_client_id").is_some());
    is_line.then_some(row)
}
