//! Comparison of a returned row with the row that was sent.

use streamtable_schema::{Media, MediaSource, Row, Value};

use super::{Check, ensure};

/// Checks that exactly these rows are stored, in this order, and says what happened to the first one
/// that is not.
pub(super) fn check_rows(sent: &[Row], stored: &[Row]) -> Check {
    let times = |rows: &[Row], row| rows.iter().filter(|other| same_row(row, other)).count();
    let was_sent = |row: &Row| sent.iter().any(|other| same_row(other, row));
    for (n, row) in sent.iter().enumerate() {
        match (times(sent, row), times(stored, row), stored.get(n)) {
            (expected, found, _) if expected == found => {}
            (_, 0, Some(other)) if stored.len() == sent.len() && !was_sent(other) => {
                return Err(format!("row {n} is read back as {other:?} instead of {row:?}"));
            }
            (_, 0, _) => return Err(format!("row {n} is not stored: {row:?}")),
            (1, 2, _) => return Err(format!("row {n} was stored twice: {row:?}")),
            (expected, found, _) => {
                return Err(format!("row {n} was stored {found} times, not {expected}: {row:?}"));
            }
        }
    }
    if let Some(row) = stored.iter().find(|row| !was_sent(row)) {
        return Err(format!("a row is stored that was never sent: {row:?}"));
    }
    let is_in_order = sent.iter().zip(stored).all(|(sent, stored)| same_row(sent, stored));
    let number = |row: &Row| sent.iter().position(|other| same_row(other, row));
    ensure!(
        is_in_order,
        "rows are stored in the order {} instead of 0, 1, 2, …",
        list(stored.iter().filter_map(number))
    );
    Ok(())
}

/// Shows the first numbers of a long list.
fn list(numbers: impl Iterator<Item = usize>) -> String {
    let mut texts: Vec<String> = numbers.take(13).map(|n| n.to_string()).collect();
    if texts.len() == 13 {
        texts[12] = "…".to_owned();
    }
    texts.join(", ")
}

/// Returns whether a row is equal to the one that was sent.
///
/// A backend may order cells by column, omit or add nulls, and return a number as an integer or a
/// float, if the number is the same.
fn same_row(sent: &Row, found: &Row) -> bool {
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
