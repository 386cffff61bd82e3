//! JSON texts with many rows.

mod split;

use streamtable_schema::{Row, Value};
use streamtable_wire::json;

pub use split::{Piece, SplitError, Splitter};

/// Parses the text of one row.
pub fn row(text: &[u8]) -> Result<Row, String> {
    let text = std::str::from_utf8(text).map_err(|_| "not UTF-8".to_owned())?;
    match json::parse(text) {
        Ok(Value::Struct(row)) => Ok(row),
        Ok(_) => Err("not a JSON object".to_owned()),
        Err(error) => Err(format!("invalid JSON: {error}")),
    }
}
