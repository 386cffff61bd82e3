//! Comparison of a returned row with the row that was sent.

use streamtable_schema::{Media, MediaSource, Row, Value};

/// Returns whether a row is equal to the one that was sent.
///
/// A backend may order cells by column, omit or add nulls, and return a number as an integer or a
/// float, if the number is the same.
pub(super) fn same_row(sent: &Row, found: &Row) -> bool {
    let is_there = |(name, value): (&str, &Value)| match found.get(name) {
        Some(other) => same(value, other),
        None => *value == Value::Null,
    };
    let was_sent =
        |(name, value): (&str, &Value)| *value == Value::Null || sent.get(name).is_some();
    sent.cells().all(is_there) && found.cells().all(was_sent)
}

fn same(sent: &Value, found: &Value) -> bool {
    match (sent, found) {
        (Value::Int(n), Value::Float(x)) | (Value::Float(x), Value::Int(n)) => *n as f64 == *x,
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Struct(a), Value::Struct(b)) => same_row(a, b),
        (Value::Media(a), Value::Media(b)) => same_media(a, b),
        (a, b) => a == b,
    }
}

fn same_media(a: &Media, b: &Media) -> bool {
    let path = |media: &Media| match media.source() {
        MediaSource::Stored(file) => Some(file.path.clone()),
        _ => None,
    };
    a.kind() == b.kind() && path(a) == path(b) && a.caption() == b.caption()
}
