//! A row as readable text: its time, then its cells.

use std::io::IsTerminal;

use streamtable::{Row, Value};
use streamtable_wire::{json, write_cell};

use crate::style::{self, printable};

/// Maximum length of a cell in characters, so that a row takes about one line.
const MAX_CELL_CHARS: usize = 60;

/// Formats rows as lines.
pub(crate) struct RowText {
    colours: bool,
}

impl RowText {
    /// Uses colours if the stream is a terminal.
    pub(crate) fn for_stream(stream: &impl IsTerminal) -> Self {
        Self { colours: style::has_colours(stream) }
    }

    /// Formats a row sent by the API. Text that is not a row is returned unchanged.
    pub(crate) fn line(&self, row: &str) -> String {
        match json::parse(row) {
            Ok(Value::Struct(row)) => self.row(row),
            _ => printable(row),
        }
    }

    fn row(&self, row: Row) -> String {
        let mut line = String::new();
        let time_column = if row.get("_timestamp").is_some() { "_timestamp" } else { "timestamp" };
        for (name, value) in row {
            match (&*name, &value) {
                ("_position" | "_writer" | "_line", _) | (_, Value::Null) => continue,
                (name, Value::String(at)) if name == time_column => {
                    line.insert_str(0, &self.dim(&time(at)));
                    continue;
                }
                _ => {}
            }
            if !line.is_empty() {
                line.push_str("  ");
            }
            line.push_str(&self.dim(&format!("{}=", printable(&name))));
            line.push_str(&cell(&value));
        }
        line
    }

    fn dim(&self, text: &str) -> String {
        match self.colours {
            true => format!("\u{1b}[2m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}

/// Formats an instant as date and time with milliseconds.
fn time(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
        Err(_) => printable(text),
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => cut(text),
        Value::Struct(row) if row.get("_type").is_some() => match row.get("path") {
            Some(Value::String(path)) => cut(path),
            _ => json_text(value),
        },
        value => json_text(value),
    }
}

fn json_text(value: &Value) -> String {
    let mut out = Vec::new();
    write_cell(&mut out, value);
    cut(&String::from_utf8_lossy(&out))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_CELL_CHARS) {
        Some((end, _)) => printable(&text[..end]) + "…",
        None => printable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(row: &str, expected: &str) {
        assert_eq!(RowText { colours: false }.line(row), expected);
    }

    #[test]
    fn rows_are_formatted() {
        check(
            r#"{"_position":0,"_writer":"w","_line":0,"timestamp":"2026-01-02T03:04:05.006007Z",
                "path":"/a","note":"two words","ms":7.5,"none":null,"list":[1,2],
                "image":{"_type":"image-file","path":"media/a.png"}}"#,
            "2026-01-02 03:04:05.006  path=/a  note=\"two words\"  ms=7.5  list=[1,2]  \
             image=media/a.png",
        );
        check(
            r#"{"a":"\u001b[2J","n":123456789012345678901234567890}"#,
            "a=\\u{1b}[2J  n=123456789012345678901234567890",
        );
        check(&format!(r#"{{"a":"{}"}}"#, "x".repeat(61)), &format!("a={}…", "x".repeat(60)));
        check(
            r#"{"_position":0,"_timestamp":"2026-01-02T03:04:05.006007Z","timestamp":"noon","n":1}"#,
            "2026-01-02 03:04:05.006  timestamp=noon  n=1",
        );
        check("no row", "no row");
    }
}
