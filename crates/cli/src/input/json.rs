//! Rows from JSON objects: one per line, or one array of them.

use std::io::{self, BufRead, Read};

use serde_json::value::RawValue;
use streamtable::{Row, Value};
use streamtable_wire::{MAX_LINE_BYTES, json};

use super::Deliver;

/// Maximum size of a JSON document in bytes. The document is read into memory.
const MAX_DOCUMENT_BYTES: u64 = 1 << 30;

/// Reads one object per line. Empty lines are skipped.
pub(super) fn read_lines(mut input: impl BufRead, deliver: Deliver<'_>) -> io::Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let limit = MAX_LINE_BYTES as u64 + 2;
        let read = (&mut input).take(limit).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        if read as u64 == limit && line.last() != Some(&b'\n') {
            skip_line(&mut input)?;
            let reason = format!("the line is longer than {MAX_LINE_BYTES} bytes");
            if !deliver(number, Err(reason)) {
                break;
            }
            continue;
        }
        // Skips a byte order mark before the first object.
        let text = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| number == 1).unwrap_or(&line);
        if !text.trim_ascii().is_empty() && !deliver(number, row(text.trim_ascii())) {
            break;
        }
    }
    Ok(())
}

/// Reads one array of objects, or one object.
pub(super) fn read_document(input: impl Read, deliver: Deliver<'_>) -> io::Result<()> {
    let mut text = Vec::new();
    let read = input.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut text)?;
    if read as u64 > MAX_DOCUMENT_BYTES {
        let message = "the JSON document is larger than 1 GiB; convert it to one object per line";
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    if text.trim_ascii_start().first() == Some(&b'[') {
        let rows: Vec<&RawValue> = serde_json::from_slice(&text)?;
        for (number, object) in (1..).zip(rows) {
            if !deliver(number, row(object.get().as_bytes())) {
                break;
            }
        }
        return Ok(());
    }
    deliver(1, row(text.trim_ascii()));
    Ok(())
}

/// Skips the rest of a line.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let chunk = input.fill_buf()?;
        if chunk.is_empty() {
            return Ok(());
        }
        match chunk.iter().position(|&byte| byte == b'\n') {
            Some(end) => {
                input.consume(end + 1);
                return Ok(());
            }
            None => {
                let length = chunk.len();
                input.consume(length);
            }
        }
    }
}

fn row(text: &[u8]) -> Result<Row, String> {
    let text = std::str::from_utf8(text).map_err(|_| "not UTF-8".to_owned())?;
    match json::parse(text) {
        Ok(Value::Struct(row)) => Ok(row),
        Ok(_) => Err("not a JSON object".to_owned()),
        Err(error) => Err(format!("invalid JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use streamtable::row;

    use super::*;

    fn rows(read: impl FnOnce(Deliver<'_>) -> io::Result<()>) -> Vec<(u64, Result<Row, String>)> {
        let mut rows = Vec::new();
        read(&mut |number, row| {
            rows.push((number, row));
            true
        })
        .unwrap();
        rows
    }

    #[test]
    fn json_lines_are_read() {
        let text = "\u{feff}{\"a\":1}\n\n{\"a\":NaN}\r\n[1]\n{\"a\":\n{\"a\":123456789012345678901234567890}";
        let found = rows(|deliver| read_lines(text.as_bytes(), deliver));
        assert_eq!(found[0], (1, Ok(row! { "a" => 1 })));
        assert_eq!(found[1], (3, Ok(row! { "a" => f64::NAN })));
        assert_eq!(found[2], (4, Err("not a JSON object".to_owned())));
        assert!(found[3].0 == 5 && found[3].1.is_err());
        let long = 123_456_789_012_345_678_901_234_567_890_i128;
        assert_eq!(found[4], (6, Ok(row! { "a" => long })));
    }

    #[test]
    fn an_oversized_line_is_rejected_alone() {
        let text = format!("{{\"a\":\"{}\"}}\n{{\"a\":1}}\n", "x".repeat(MAX_LINE_BYTES + 10));
        let found = rows(|deliver| read_lines(text.as_bytes(), deliver));
        assert!(found[0].1.as_ref().unwrap_err().contains("longer than"));
        assert_eq!(found[1], (2, Ok(row! { "a" => 1 })));
    }

    #[test]
    fn json_documents_are_read() {
        let found = rows(|deliver| read_document(&b"[{\"a\":1},\n 7, {\"a\":2}]"[..], deliver));
        assert_eq!(found[0].1, Ok(row! { "a" => 1 }));
        assert_eq!(found[1].1, Err("not a JSON object".to_owned()));
        assert_eq!(found[2], (3, Ok(row! { "a" => 2 })));
        let found = rows(|deliver| read_document(&b"{\"a\":1}\n"[..], deliver));
        assert_eq!(found, [(1, Ok(row! { "a" => 1 }))]);
    }
}
