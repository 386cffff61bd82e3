//! Comparison of the stored rows with the logged ones, in the terms of a backend's author.

use streamtable_schema::{Media, MediaSource, Row, Value};

use super::{Check, ensure};

/// The column with the number of a row, in the rows of most cases.
pub(super) const NUMBER: &str = "n";

/// Returns row number `n` of the rows of most cases.
pub(super) fn numbered(n: usize) -> Row {
    Row::new().with(NUMBER, n).with("text", format!("row {n}"))
}

/// Checks that exactly the numbered rows `0..count` are stored, each once and in order.
pub(super) fn check_rows(stored: &[Row], count: usize, story: &str) -> Check {
    let numbers: Vec<usize> = stored.iter().map(number).collect::<Check<_>>()?;
    let mut times = vec![0; count];
    for &n in numbers.iter().filter(|&&n| n < count) {
        times[n] += 1;
    }
    for (n, times) in times.into_iter().enumerate() {
        match times {
            1 => {}
            0 => return Err(format!("row {n} is not stored {story}")),
            2 => return Err(format!("row {n} was stored twice {story}")),
            times => return Err(format!("row {n} was stored {times} times {story}")),
        }
    }
    if let Some(other) = numbers.iter().find(|&&n| n >= count) {
        return Err(format!("row {other} is stored, although it was never sent {story}"));
    }
    let expected: Vec<usize> = (0..count).collect();
    ensure!(
        numbers == expected,
        "rows are stored in the order {} instead of {} {story}",
        list(&numbers),
        list(&expected)
    );
    stored.iter().enumerate().try_for_each(|(n, row)| check_row(n, &numbered(n), row))
}

fn number(row: &Row) -> Check<usize> {
    let number = match row.get(NUMBER) {
        Some(Value::Int(n)) => usize::try_from(*n).ok(),
        Some(Value::Float(x)) if x.fract() == 0.0 && *x >= 0.0 => Some(*x as usize),
        _ => None,
    };
    number.ok_or_else(|| format!("a row without its number is stored: {row:?}"))
}

/// Shows the first numbers of a long list.
fn list(numbers: &[usize]) -> String {
    let shown: Vec<String> = numbers.iter().take(12).map(usize::to_string).collect();
    let more = if numbers.len() > shown.len() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// Checks that a stored row is the one that was logged.
///
/// A backend may order cells by column, omit or add nulls, and return a number as an integer or a
/// float, if the number is the same. The client adds the column `timestamp`.
pub(super) fn check_row(n: usize, logged: &Row, stored: &Row) -> Check {
    for (name, value) in logged.cells() {
        let found = stored.get(name).unwrap_or(&Value::Null);
        ensure!(
            is_same(value, found),
            "row {n}: column {name:?} is read back as {found:?} instead of {value:?}"
        );
    }
    for (name, value) in stored.cells() {
        ensure!(
            logged.get(name).is_some() || *value == Value::Null || name == "timestamp",
            "row {n}: column {name:?} is stored as {value:?}, but was not logged"
        );
    }
    Ok(())
}

fn is_same(logged: &Value, stored: &Value) -> bool {
    match (logged, stored) {
        (Value::Int(n), Value::Float(x)) | (Value::Float(x), Value::Int(n)) => *n as f64 == *x,
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Struct(a), Value::Struct(b)) => {
            check_row(0, a, b).is_ok() && b.cells().all(|(name, _)| a.get(name).is_some())
        }
        (Value::Media(a), Value::Media(b)) => a.kind() == b.kind() && path(a) == path(b),
        (a, b) => a == b,
    }
}

fn path(media: &Media) -> Option<&str> {
    match media.source() {
        MediaSource::Stored(file) => Some(&file.path),
        _ => None,
    }
}
