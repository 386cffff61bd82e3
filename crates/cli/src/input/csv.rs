//! Rows from comma-separated values.

use std::io::{self, Read};

use csv::{ErrorKind, ReaderBuilder, StringRecord};
use streamtable::{Row, Timestamp, Value};
use streamtable_wire::MAX_LINE_BYTES;

use super::Deliver;
use super::bounded::Bounded;

/// Reads the rows after a header line.
///
/// The type of a cell is inferred from its text: see [`value`]. Cells of the columns in `text` are
/// always strings. An empty cell is null.
pub(super) fn read(
    input: impl Read,
    delimiter: u8,
    text: &[String],
    deliver: Deliver<'_>,
) -> io::Result<()> {
    let (input, found) = Bounded::new(input, 2 * MAX_LINE_BYTES);
    let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(input);
    let names = reader.headers().map_err(io_error)?.clone();
    if names.is_empty() {
        return Ok(());
    }
    let is_text: Vec<bool> =
        names.iter().map(|name| text.iter().any(|text| text == name)).collect();
    if let Some(unknown) = text.iter().find(|text| names.iter().all(|name| name != *text)) {
        let message = format!("unknown column {unknown:?}; the columns are {}", list(&names));
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut record = StringRecord::new();
    loop {
        found.renew();
        let at = reader.position().line();
        let row = match reader.read_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) if record.len() != names.len() => {
                Err(format!("{} cells for {} columns", record.len(), names.len()))
            }
            Ok(true) => Ok(row(&names, &record, &is_text)),
            Err(error) => match error.kind() {
                ErrorKind::Utf8 { .. } => Err("not UTF-8".to_owned()),
                _ => return Err(io_error(error)),
            },
        };
        let line = record.position().map_or(at, |position| position.line());
        if !deliver(line, row) {
            return Ok(());
        }
    }
}

fn row(names: &StringRecord, record: &StringRecord, is_text: &[bool]) -> Row {
    let cells = names.iter().zip(record).zip(is_text);
    cells
        .map(|((name, cell), is_text)| {
            let value = match cell {
                "" => Value::Null,
                cell if *is_text => Value::from(cell),
                cell => value(cell),
            };
            (name.to_owned(), value)
        })
        .collect()
}

/// Infers the value of a cell: an integer, a float, `true` or `false`, an RFC 3339 timestamp,
/// otherwise a string. A number with a leading zero, such as a postal code, is a string.
fn value(cell: &str) -> Value {
    match cell {
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        "NaN" | "nan" => return Value::Float(f64::NAN),
        "Infinity" | "inf" => return Value::Float(f64::INFINITY),
        "-Infinity" | "-inf" => return Value::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let digits = cell.strip_prefix('-').unwrap_or(cell).as_bytes();
    let is_number = match digits {
        [b'0', next, ..] => matches!(next, b'.' | b'e' | b'E'),
        [b'0'..=b'9', ..] => true,
        [b'.', b'0'..=b'9', ..] => true,
        _ => false,
    };
    if is_number {
        if let Ok(int) = cell.parse::<i64>() {
            return Value::from(int);
        }
        // An integer too large for `i64`, such as a long id, stays a string: a float would lose
        // digits.
        let is_whole = digits.iter().all(u8::is_ascii_digit);
        if let (false, Ok(float)) = (is_whole, cell.parse::<f64>())
            && float.is_finite()
        {
            return Value::from(float);
        }
        // A date without a time is not an instant, because its time zone is unknown.
        if cell.len() > 10
            && cell.as_bytes()[4] == b'-'
            && let Ok(at) = cell.parse::<Timestamp>()
        {
            return Value::from(at);
        }
    }
    Value::from(cell)
}

fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        ErrorKind::Io(error) => error,
        ErrorKind::Utf8 { .. } => {
            io::Error::new(io::ErrorKind::InvalidData, "the header line is not valid UTF-8")
        }
        other => io::Error::other(format!("{other:?}")),
    }
}

fn list(names: &StringRecord) -> String {
    names.iter().take(20).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use streamtable::row;

    use super::*;

    #[test]
    fn cell_types_are_inferred() {
        for (cell, expected) in [
            ("7", Value::from(7)),
            ("-7", Value::from(-7)),
            ("0", Value::from(0)),
            ("0.5", Value::from(0.5)),
            ("-.5", Value::from(-0.5)),
            ("1e3", Value::from(1000.0)),
            ("1e999", Value::from("1e999")),
            ("007", Value::from("007")),
            ("-0123", Value::from("-0123")),
            ("12345678901234567890", Value::from("12345678901234567890")),
            ("1.2.3", Value::from("1.2.3")),
            ("true", Value::from(true)),
            ("FALSE", Value::from(false)),
            ("NaN", Value::from(f64::NAN)),
            ("-Infinity", Value::from(f64::NEG_INFINITY)),
            ("info", Value::from("info")),
            ("2026-01-02", Value::from("2026-01-02")),
            ("2026-01-02T03:04:05Z", timestamp("2026-01-02T03:04:05Z")),
            ("2026-01-02 03:04:05.000007+01:00", timestamp("2026-01-02T02:04:05.000007Z")),
            ("2026-01-02T03:04:05", Value::from("2026-01-02T03:04:05")),
        ] {
            assert_eq!(value(cell), expected, "{cell}");
        }
    }

    fn timestamp(text: &str) -> Value {
        text.parse::<Timestamp>().unwrap().into()
    }

    fn read_all(text: &str, texts: &[&str]) -> Vec<(u64, Result<Row, String>)> {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        let mut rows = Vec::new();
        let mut deliver = |line, row| {
            rows.push((line, row));
            true
        };
        read(text.as_bytes(), b',', &texts, &mut deliver).unwrap();
        rows
    }

    #[test]
    fn rows_are_read_or_reported() {
        let text = "id,zip,note\n1,12345,\"a, b\nc\"\n2,,\n3,1\n4,5,x\n";
        assert_eq!(
            read_all(text, &["zip"]),
            [
                (2, Ok(row! { "id" => 1, "zip" => "12345", "note" => "a, b\nc" })),
                (4, Ok(row! { "id" => 2, "zip" => Value::Null, "note" => Value::Null })),
                (5, Err("2 cells for 3 columns".to_owned())),
                (6, Ok(row! { "id" => 4, "zip" => "5", "note" => "x" })),
            ]
        );
        assert_eq!(read_all("", &[]), []);
        assert_eq!(read_all("a,b\n", &[]), []);
    }

    #[test]
    fn a_missing_closing_quote_is_reported() {
        let text = format!("a\n\"{}", "x".repeat(2 * MAX_LINE_BYTES + 100_000));
        let error = read(text.as_bytes(), b',', &[], &mut |_, _| true).unwrap_err();
        assert!(error.to_string().contains("is a closing quote missing?"), "{error}");
    }
}
