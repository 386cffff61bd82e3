//! Parser from one JSON document to a [`Value`].

use std::borrow::Cow;
use std::collections::HashMap;

use streamtable_schema::Value;

use super::scan::plain_len;

/// Maximum nesting of a document; deeper documents are refused.
///
/// More than [`streamtable_schema::MAX_DEPTH`], because the row and the protocol's cell wrappers
/// add levels.
const MAX_NESTING: usize = 160;

/// The reason why a text is not a JSON document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {position}: expected {expected}")]
pub struct JsonError {
    /// The byte offset of the error.
    pub position: usize,
    /// A description of the expected token.
    pub expected: &'static str,
}

/// Parses one JSON document, which only white space may follow.
///
/// Also accepts non-standard JSON that the protocol's clients write: the bare words `NaN`,
/// `Infinity` and `-Infinity`, unpaired surrogates (they become U+FFFD), and integers of any length
/// (beyond 128 bits they become the nearest float). `-0` is a float. A duplicate key keeps the
/// position of the first and the value of the last. Objects become structs; the protocol's cells
/// are not converted.
///
/// ```
/// use streamtable_schema::{Value, row};
///
/// let value = streamtable_wire::json::parse(r#"{"a": NaN, "b": [1, 2.0, 1e3]}"#)?;
/// let list: Value = [Value::from(1), 2.0.into(), 1000.0.into()].into_iter().collect();
/// assert_eq!(value, row! { "a" => f64::NAN, "b" => list }.into());
/// # Ok::<(), streamtable_wire::json::JsonError>(())
/// ```
pub fn parse(text: &str) -> Result<Value, JsonError> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(MAX_NESTING)?;
    parser.end()?;
    Ok(value)
}

/// Parses a document that is an object, each value by `read`, and returns its entries by the rules
/// of [`parse`]. Stops at the first error of `read`.
pub(crate) fn parse_object<'a>(
    text: &'a str,
    mut read: impl FnMut(&mut Parser<'a>, usize) -> Result<Value, JsonError>,
) -> Result<Vec<(Cow<'a, str>, Value)>, JsonError> {
    let mut parser = Parser { text, at: 0 };
    parser.skip_space();
    if parser.peek() != Some(b'{') {
        // If the document is not valid JSON, report that error first.
        parser.value(MAX_NESTING)?;
        parser.end()?;
        return Err(JsonError { position: 0, expected: "an object" });
    }
    let cells = parser.cells(MAX_NESTING, &mut read)?;
    parser.end()?;
    Ok(cells)
}

/// A position in a document.
pub(crate) struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    /// Returns the unread text.
    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Advances by `bytes` bytes.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    fn end(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        if self.at < self.text.len() { Err(self.expected("the end")) } else { Ok(()) }
    }

    /// Parses a value with at most `room` nesting levels.
    pub(crate) fn value(&mut self, room: usize) -> Result<Value, JsonError> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(room),
            Some(b'[') => self.array(room),
            Some(b'"') => Ok(Value::String(self.string()?.into_owned())),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(b'N') => self.word("NaN", Value::Float(f64::NAN)),
            Some(b'I') => self.word("Infinity", Value::Float(f64::INFINITY)),
            _ => Err(self.expected("a value")),
        }
    }

    fn object(&mut self, room: usize) -> Result<Value, JsonError> {
        let cells = self.cells(room, &mut Self::value)?;
        let owned = |(name, value): (Cow<'a, str>, Value)| (name.into_owned(), value);
        Ok(Value::Struct(cells.into_iter().map(owned).collect()))
    }

    /// Parses an object from its opening to its closing brace.
    fn cells(
        &mut self,
        room: usize,
        read: &mut impl FnMut(&mut Self, usize) -> Result<Value, JsonError>,
    ) -> Result<Vec<(Cow<'a, str>, Value)>, JsonError> {
        let room = self.deeper(room)?;
        let mut cells = Vec::new();
        self.at += 1;
        self.skip_space();
        if !self.take(b'}') {
            loop {
                self.skip_space();
                if self.peek() != Some(b'"') {
                    return Err(self.expected("a key"));
                }
                let key = self.string()?;
                self.skip_space();
                if !self.take(b':') {
                    return Err(self.expected("a colon"));
                }
                self.skip_space();
                cells.push((key, read(self, room)?));
                self.skip_space();
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.expected("a comma or the end of the object"));
                }
            }
        }
        Ok(keep_last(cells))
    }

    fn array(&mut self, room: usize) -> Result<Value, JsonError> {
        let room = self.deeper(room)?;
        let mut items = Vec::new();
        self.at += 1;
        self.skip_space();
        if !self.take(b']') {
            loop {
                items.push(self.value(room)?);
                self.skip_space();
                if self.take(b']') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.expected("a comma or the end of the array"));
                }
            }
        }
        Ok(Value::List(items))
    }

    /// Parses a string from its opening to its closing quote.
    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.at += 1;
        let plain = self.unescaped()?;
        if self.take(b'"') {
            return Ok(plain.into());
        }
        let mut owned = plain.to_owned();
        while !self.take(b'"') {
            if !self.take(b'\\') {
                return Err(self.expected("the end of the text"));
            }
            owned.push(self.escape()?);
            owned.push_str(self.unescaped()?);
        }
        Ok(owned.into())
    }

    /// Parses the text up to the next quote or backslash.
    fn unescaped(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        self.at += plain_len(&self.text.as_bytes()[start..]);
        if self.peek().is_some_and(|byte| byte < b' ') {
            return Err(self.expected("an escape for a control character"));
        }
        Ok(&self.text[start..self.at])
    }

    /// Parses the escape after a backslash.
    fn escape(&mut self) -> Result<char, JsonError> {
        let c = match self.peek() {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.escaped_unit(),
            _ => return Err(self.expected("an escape")),
        };
        self.at += 1;
        Ok(c)
    }

    /// Parses `uXXXX`, and the second half of a surrogate pair if this is the first.
    fn escaped_unit(&mut self) -> Result<char, JsonError> {
        self.at += 1;
        let unit = self.hex4()?;
        let after_first = self.at;
        if (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with("\\u") {
            self.at += 2;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((unit - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = after_first;
        }
        Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits else { return Err(self.expected("four hexadecimal digits")) };
        self.at += 4;
        Ok(digits.iter().fold(0, |n, &digit| n * 16 + char::from(digit).to_digit(16).unwrap_or(0)))
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        if self.take(b'-') && self.peek() == Some(b'I') {
            return self.word("Infinity", Value::Float(f64::NEG_INFINITY));
        }
        if !self.take(b'0') {
            self.digits()?;
        }
        let mut is_integer = true;
        if self.take(b'.') {
            is_integer = false;
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            is_integer = false;
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        // `-0` is a float of a client that omits the decimal point of whole floats.
        if is_integer && text != "-0" {
            let short = if text.len() <= 18 { text.parse::<i64>().ok() } else { None };
            if let Some(n) = short.map(i128::from).or_else(|| text.parse().ok()) {
                return Ok(Value::Int(n));
            }
        }
        text.parse().map(Value::Float).map_err(|_| self.expected("a number"))
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    fn word(&mut self, word: &'static str, value: Value) -> Result<Value, JsonError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.expected(word));
        }
        self.at += word.len();
        Ok(value)
    }

    fn deeper(&self, room: usize) -> Result<usize, JsonError> {
        room.checked_sub(1).ok_or_else(|| self.expected("a smaller nesting depth"))
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn expected(&self, expected: &'static str) -> JsonError {
        JsonError { position: self.at, expected }
    }
}

/// In objects up to this size, duplicates are found by comparing pairs, which needs no memory.
const FEW: usize = 24;

/// Removes duplicate keys: keeps the position of the first and the value of the last.
fn keep_last<'a>(cells: Vec<(Cow<'a, str>, Value)>) -> Vec<(Cow<'a, str>, Value)> {
    if !has_twice(&cells) {
        return cells;
    }
    let mut places: HashMap<Cow<'a, str>, usize> = HashMap::new();
    let mut kept: Vec<(Cow<'a, str>, Value)> = Vec::new();
    for (name, value) in cells {
        match places.get(&name) {
            Some(&i) => kept[i].1 = value,
            None => {
                places.insert(name.clone(), kept.len());
                kept.push((name, value));
            }
        }
    }
    kept
}

fn has_twice(cells: &[(Cow<'_, str>, Value)]) -> bool {
    if cells.len() <= FEW {
        return cells.iter().enumerate().any(|(i, (name, _))| {
            // Compare lengths first, because most names differ in length.
            cells[..i].iter().any(|(other, _)| other.len() == name.len() && other == name)
        });
    }
    let mut names: Vec<&str> = cells.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use streamtable_schema::{Row, row};

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: impl Into<Value>) {
        assert_eq!(parse(text), Ok(expected.into()));
    }

    #[track_caller]
    fn refuses(text: &str, position: usize, expected: &'static str) {
        assert_eq!(parse(text), Err(JsonError { position, expected }));
    }

    #[test]
    fn documents() {
        check(" 1 ", 1);
        check("-0", -0.0);
        assert!(matches!(parse("-0"), Ok(Value::Float(x)) if x.is_sign_negative()));
        check("-0.0", -0.0);
        check("1.0", 1.0);
        check("1.7953500882148914e+09", 1_795_350_088.214_891_4);
        check("9223372036854775808", 9_223_372_036_854_775_808_i128);
        check(&format!("1{}", "0".repeat(400)), f64::INFINITY);
        check(&format!("1{}", "0".repeat(40)), 1e40);
        check("NaN", f64::NAN);
        check("-Infinity", f64::NEG_INFINITY);
        check("[Infinity]", vec![f64::INFINITY]);
        check("[]", Vec::<i32>::new());
        check(r#""a\u00e9\n\ud83d\ude00\"""#, "aé\n😀\"");
        check(r#""\ud83d!\ude00\ud83d\u0041""#, "\u{fffd}!\u{fffd}\u{fffd}A");
        check(r#"{"": {"a/b": null}}"#, row! { "" => row! { "a/b" => () } });
        check(r#"{"a": 1, "b": 2, "a": 3}"#, row! { "a" => 3, "b" => 2 });
        check(r#"{"a": 1, "\u0061": 2}"#, row! { "a" => 2 });
        let names = (0..2 * FEW).map(|i| format!(r#""{i}":{i}"#)).collect::<Vec<_>>().join(",");
        let row: Row = (0..2 * FEW).map(|i| (i.to_string(), i as i64)).collect();
        check(&format!("{{{names}}}"), row.clone());
        check(&format!(r#"{{{names},"7":7}}"#), row);
        check("999999999999999999", 999_999_999_999_999_999_i64);
        check("-9999999999999999999", -9_999_999_999_999_999_999_i128);
        let deep = format!("{}{}", "[".repeat(MAX_NESTING), "]".repeat(MAX_NESTING));
        assert!(parse(&deep).is_ok());
    }

    #[test]
    fn refusals() {
        refuses("", 0, "a value");
        refuses("nul", 0, "null");
        refuses("{\"a\" 1}", 5, "a colon");
        refuses("{a: 1}", 1, "a key");
        refuses("[1 2]", 3, "a comma or the end of the array");
        refuses("1 1", 2, "the end");
        refuses("1.", 2, "a digit");
        refuses("-", 1, "a digit");
        refuses("\"a", 2, "the end of the text");
        refuses("[1,]", 3, "a value");
        refuses("{\"a\":1,}", 7, "a key");
        refuses("[,1]", 1, "a value");
        refuses("01", 1, "the end");
        refuses("1e+", 3, "a digit");
        refuses(".5", 0, "a value");
        refuses("+1", 0, "a value");
        refuses("-NaN", 1, "a digit");
        refuses("{\"a\":1 \"b\":2}", 7, "a comma or the end of the object");
        refuses("\"a\nb\"", 2, "an escape for a control character");
        refuses(r#""\"#, 2, "an escape");
        refuses(r#""é\x""#, 4, "an escape");
        refuses(r#""\u12""#, 3, "four hexadecimal digits");
        refuses(&"[".repeat(100_000), MAX_NESTING, "a smaller nesting depth");
    }
}
