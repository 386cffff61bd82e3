//! Cells as JSON, in the same form everywhere in the API.
//!
//! | cell | JSON |
//! | --- | --- |
//! | integer | a number, always exact |
//! | float | a number, or one of the strings `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | timestamp | RFC 3339 in UTC, with microseconds |
//! | media | an object, `{"_type":"image-file","path":…}` |
//! | list, struct | an array, an object; what a query computes from their JSON text is text |
//! | cell of a column with several types | the value itself |

mod columns;
mod rows;
mod structs;

use std::io::Write;

use streamtable_schema::Timestamp;

pub use columns::Columns;
pub use rows::write_row;

/// Writes a JSON string.
pub fn write_str(out: &mut Vec<u8>, text: &str) {
    // Writing to a vector cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// Writes a number. `NaN` and the infinities are written as strings.
pub fn write_f64(out: &mut Vec<u8>, x: f64) {
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
    /// RFC 3339 has no form for years after 9999.
    const FORMATTED: std::ops::Range<i64> = -377_705_116_800_000_000..253_402_300_800_000_000;

    let _ = match FORMATTED.contains(&micros) {
        true => write!(out, "\"{:.6}\"", Timestamp::from_micros(micros)),
        false => write!(out, "{micros}"),
    };
}
