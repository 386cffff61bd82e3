//! Cells as JSON, the same wherever the API shows them.
//!
//! | cell | JSON |
//! | --- | --- |
//! | integer | a number, exact however long |
//! | float | a number; `"NaN"`, `"Infinity"`, `"-Infinity"` as texts |
//! | timestamp | RFC 3339 in UTC, with microseconds |
//! | media | an object, `{"_type":"image-file","path":…}` |
//! | list, struct | an array, an object; from SQL, which knows them as texts, their JSON as a text |
//! | of a column of several kinds | the value itself |

mod columns;
mod rows;
mod structs;

use std::io::Write;

pub(crate) use columns::Columns;
pub(super) use rows::write_row;

/// Writes a text with its quotes.
pub(crate) fn write_str(out: &mut Vec<u8>, text: &str) {
    // Writing a text to a vector cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// Writes a number; those that JSON has none for as texts.
pub(crate) fn write_f64(out: &mut Vec<u8>, x: f64) {
    if x.is_finite() {
        let _ = serde_json::to_writer(out, &x);
    } else {
        write_non_finite(out, x);
    }
}

fn write_non_finite(out: &mut Vec<u8>, x: f64) {
    out.extend_from_slice(if x.is_nan() {
        b"\"NaN\""
    } else if x > 0.0 {
        b"\"Infinity\""
    } else {
        b"\"-Infinity\""
    });
}

/// Writes an instant, given in microseconds since 1970.
fn write_instant(out: &mut Vec<u8>, micros: i64) {
    let _ = match jiff::Timestamp::from_microsecond(micros) {
        Ok(time) => write!(out, "\"{time:.6}\""),
        // Beyond the year 9999, which RFC 3339 has no text for.
        Err(_) => write!(out, "{micros}"),
    };
}
