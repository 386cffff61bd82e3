//! Splits the bytes of a body into rows.

use bytes::Bytes;
use streamtable_wire::MAX_LINE_BYTES;

/// One row of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// The text of a row. It may be invalid JSON, or not an object.
    Row {
        /// The line in which the row starts; in an array, the number of the element. From 1.
        number: u64,
        /// The text.
        text: Bytes,
    },
    /// A row that exceeds the maximum length.
    TooLong {
        /// The line in which the row starts; in an array, the number of the element. From 1.
        number: u64,
    },
}

/// Why a body contains no rows, or no further ones.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The body starts with neither an object nor an array.
    #[error("rows must be JSON objects, one per line, or one JSON array of objects")]
    NoRows,
    /// The array is invalid.
    #[error("the JSON array is broken near its element {element}")]
    Array {
        /// Number of elements before the error.
        element: u64,
    },
}

/// Splits a body into rows: JSON objects one after another, or the elements of one array.
///
/// An invalid or incomplete line does not affect others: a row begins at each line that starts with
/// `{`, whatever precedes it. An object may span several lines if the following ones are indented.
#[derive(Debug, Default)]
pub struct Splitter {
    shape: Shape,
    state: State,
    depth: usize,
    /// The bytes of the current row that arrived in earlier chunks.
    begun: Vec<u8>,
    is_too_long: bool,
    elements: u64,
    /// The number of line ends so far.
    line_ends: u64,
    /// The number of line ends before the current row.
    row_line: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shape {
    #[default]
    Unknown,
    Lines,
    Array,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Between rows; in an array, where an element must follow.
    #[default]
    Between,
    /// In an array: before its first element, or after one.
    MayEnd,
    /// In a row, outside of strings.
    Row,
    /// At the start of a line within a row.
    LineStart,
    /// In a string of a row.
    Text,
    /// After a backslash.
    Escape,
    /// In text that is not an object, up to the end of the line.
    Junk,
    /// After the array.
    End,
}

impl Splitter {
    /// Adds the next bytes, and returns in `out` the rows that end in them.
    pub fn push(&mut self, chunk: &Bytes, out: &mut Vec<Piece>) -> Result<(), SplitError> {
        // The start of the current row in this chunk.
        let mut start = 0;
        let mut at = 0;
        while at < chunk.len() {
            let byte = chunk[at];
            if self.shape == Shape::Unknown {
                // Some editors put a byte order mark at the start of a file.
                if !is_space(byte) && !matches!(byte, 0xef | 0xbb | 0xbf) {
                    self.begin(byte)?;
                    if self.shape == Shape::Lines {
                        continue;
                    }
                }
                self.line_ends += u64::from(byte == b'\n');
                at += 1;
                continue;
            }
            let next = match self.state {
                State::Between | State::MayEnd | State::End if is_space(byte) => self.state,
                State::Between | State::MayEnd => match (self.shape, byte) {
                    (Shape::Array, b']') if self.state == State::MayEnd => State::End,
                    (Shape::Array, b',') if self.state == State::MayEnd && self.elements > 0 => {
                        State::Between
                    }
                    (Shape::Array, b',' | b']') => return Err(self.broken()),
                    (Shape::Array, _) if self.state == State::MayEnd && self.elements > 0 => {
                        return Err(self.broken());
                    }
                    (Shape::Lines, b'{') | (Shape::Array, _) => {
                        start = at;
                        self.row_line = self.line_ends;
                        self.depth = 0;
                        self.state = State::Row;
                        // Handle the byte again, as the first one of the row.
                        continue;
                    }
                    (_, _) => {
                        start = at;
                        self.row_line = self.line_ends;
                        State::Junk
                    }
                },
                State::Junk if byte == b'\n' => {
                    self.emit(chunk, start, at, out);
                    State::Between
                }
                State::Junk => State::Junk,
                State::LineStart if byte == b'{' && self.shape == Shape::Lines => {
                    self.emit(chunk, start, at, out);
                    self.state = State::Between;
                    continue;
                }
                State::Row | State::LineStart => match byte {
                    b'"' => State::Text,
                    b'{' | b'[' => {
                        self.depth += 1;
                        State::Row
                    }
                    b']' | b',' if self.depth == 0 => {
                        // Only in an array: the end of an element that is neither an object nor an
                        // array.
                        self.emit(chunk, start, at, out);
                        self.state = State::MayEnd;
                        continue;
                    }
                    b'}' if self.depth == 0 => return Err(self.broken()),
                    b'}' | b']' => {
                        self.depth -= 1;
                        if self.depth == 0 && self.shape == Shape::Lines {
                            self.emit(chunk, start, at + 1, out);
                            State::Between
                        } else {
                            State::Row
                        }
                    }
                    b'\n' => State::LineStart,
                    _ => State::Row,
                },
                State::Text => match byte {
                    b'"' => State::Row,
                    b'\\' => State::Escape,
                    b'\n' if self.shape == Shape::Lines => {
                        self.emit(chunk, start, at, out);
                        State::Between
                    }
                    _ => State::Text,
                },
                State::Escape => State::Text,
                State::End => return Err(self.broken()),
            };
            self.state = next;
            self.line_ends += u64::from(byte == b'\n');
            at += 1;
        }
        if self.is_in_row() {
            self.keep(&chunk[start..]);
        }
        Ok(())
    }

    /// Returns in `out` the row that ends with the body, if there is one.
    pub fn finish(&mut self, out: &mut Vec<Piece>) -> Result<(), SplitError> {
        match self.shape {
            Shape::Unknown => Ok(()),
            Shape::Array if self.state == State::End => Ok(()),
            Shape::Array => Err(self.broken()),
            Shape::Lines => {
                if self.is_in_row() {
                    self.emit(&Bytes::new(), 0, 0, out);
                }
                Ok(())
            }
        }
    }

    fn begin(&mut self, byte: u8) -> Result<(), SplitError> {
        (self.shape, self.state) = match byte {
            b'[' => (Shape::Array, State::MayEnd),
            b'{' => (Shape::Lines, State::Between),
            _ => return Err(SplitError::NoRows),
        };
        Ok(())
    }

    fn is_in_row(&self) -> bool {
        match self.state {
            State::Row | State::LineStart | State::Text | State::Escape | State::Junk => true,
            State::Between | State::MayEnd | State::End => false,
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.is_too_long |= self.begun.len() + bytes.len() > MAX_LINE_BYTES;
        if self.is_too_long {
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(bytes);
        }
    }

    fn emit(&mut self, chunk: &Bytes, start: usize, end: usize, out: &mut Vec<Piece>) {
        self.elements += 1;
        let number = match self.shape {
            Shape::Array => self.elements,
            Shape::Lines | Shape::Unknown => self.row_line + 1,
        };
        if self.begun.is_empty() && !self.is_too_long {
            let is_too_long = end - start > MAX_LINE_BYTES;
            out.push(if is_too_long {
                Piece::TooLong { number }
            } else {
                Piece::Row { number, text: chunk.slice(start..end) }
            });
            return;
        }
        self.keep(&chunk[start..end]);
        let row = std::mem::take(&mut self.begun);
        let is_too_long = std::mem::take(&mut self.is_too_long);
        out.push(if is_too_long {
            Piece::TooLong { number }
        } else {
            Piece::Row { number, text: row.into() }
        });
    }

    fn broken(&self) -> SplitError {
        match self.shape {
            Shape::Array => SplitError::Array { element: self.elements },
            Shape::Lines | Shape::Unknown => SplitError::NoRows,
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits a text in one chunk, and in two chunks at each possible position.
    #[track_caller]
    fn split(text: &str) -> Result<Vec<String>, SplitError> {
        let cut = |at: usize| {
            let mut splitter = Splitter::default();
            let mut out = Vec::new();
            for part in [&text[..at], &text[at..]] {
                splitter.push(&Bytes::copy_from_slice(part.as_bytes()), &mut out)?;
            }
            splitter.finish(&mut out)?;
            Ok(out
                .into_iter()
                .map(|piece| match piece {
                    Piece::Row { text, .. } => String::from_utf8(text.to_vec()).unwrap(),
                    Piece::TooLong { .. } => "too long".to_owned(),
                })
                .collect())
        };
        let whole = cut(0);
        for at in (1..text.len()).filter(|&at| text.is_char_boundary(at)) {
            assert_eq!(cut(at), whole, "cut at {at}");
        }
        whole
    }

    #[track_caller]
    fn check(text: &str, rows: &[&str]) {
        let found = split(text).unwrap();
        assert_eq!(found.iter().map(|row| row.trim_end()).collect::<Vec<_>>(), rows);
    }

    #[test]
    fn lines() {
        check("", &[]);
        check(" \r\n\n", &[]);
        check("{}", &["{}"]);
        check("{\"a\":1}\n{\"b\":[2,{}]}\r\n\n", &["{\"a\":1}", "{\"b\":[2,{}]}"]);
        check("{\"a\":1}{\"a\":2}", &["{\"a\":1}", "{\"a\":2}"]);
        check(r#"{"é}{\"\\":"{["}"#, &[r#"{"é}{\"\\":"{["}"#]);
        check("{\n  \"a\": [\n    {}\n  ]\n}\n{}", &["{\n  \"a\": [\n    {}\n  ]\n}", "{}"]);
    }

    #[test]
    fn an_invalid_line_affects_no_other_rows() {
        check("{}\nnull\n{}", &["{}", "null", "{}"]);
        check("{}\n[1]\n{}", &["{}", "[1]", "{}"]);
        check("{\"a\":\n{\"b\":1}\n", &["{\"a\":", "{\"b\":1}"]);
        check("{\"a\":\"x\n{\"b\":1}\n", &["{\"a\":\"x", "{\"b\":1}"]);
        check("{\"a\":1}}\n{}", &["{\"a\":1}", "}", "{}"]);
        check("{\"a\":1", &["{\"a\":1"]);
    }

    #[test]
    fn arrays() {
        check(" [] ", &[]);
        check("[{}]", &["{}"]);
        check("[{\"a\":[1]}, {\"b\":\"],[\"}\n,\n{}]\n", &["{\"a\":[1]}", "{\"b\":\"],[\"}", "{}"]);
        check("[1, \"x,]\", null, [2]]", &["1", "\"x,]\"", "null", "[2]"]);
    }

    #[test]
    fn bodies_without_rows_are_rejected() {
        for text in ["x", "\"{}\"", "1", "null", "sql"] {
            assert_eq!(split(text), Err(SplitError::NoRows));
        }
        for (text, element) in [
            ("[", 0),
            ("[,", 0),
            ("[{}", 0),
            ("[{},", 1),
            ("[{},]", 1),
            ("[{},,{}]", 1),
            ("[{}] {}", 1),
            ("[}", 0),
        ] {
            assert_eq!(split(text), Err(SplitError::Array { element }), "{text}");
        }
    }

    #[test]
    fn oversized_rows_are_rejected() {
        let mut splitter = Splitter::default();
        let mut out = Vec::new();
        let long = format!("{{\"a\":\"{}\"}}\n", "x".repeat(MAX_LINE_BYTES));
        for part in long.as_bytes().chunks(1 << 20).chain([&b"{}"[..]]) {
            splitter.push(&Bytes::copy_from_slice(part), &mut out).unwrap();
        }
        assert_eq!(
            out,
            [Piece::TooLong { number: 1 }, Piece::Row { number: 2, text: "{}".into() }]
        );
        out.clear();
        splitter.push(&long.into(), &mut out).unwrap();
        assert_eq!(out, [Piece::TooLong { number: 2 }]);
    }

    #[test]
    fn rows_have_the_line_in_which_they_start() {
        let mut splitter = Splitter::default();
        let mut out = Vec::new();
        splitter.push(&"\n{\n \"a\": 1\n}\n\nnull\n{} {\"b\":\n{}".into(), &mut out).unwrap();
        splitter.finish(&mut out).unwrap();
        let numbers = out.iter().map(|piece| match piece {
            Piece::Row { number, .. } | Piece::TooLong { number } => *number,
        });
        assert_eq!(numbers.collect::<Vec<_>>(), [2, 6, 7, 7, 8]);
    }
}
