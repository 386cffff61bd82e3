//! The tokenizer for expressions.

use crate::{Literal, ParseError, Reason};

/// A text and the current position in it.
///
/// Invariant: `at` is at a character boundary of `text`.
pub(crate) struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// Skips white space and returns the position of the next token.
    pub(crate) fn position(&mut self) -> usize {
        self.at = self.text.len() - self.rest().trim_start().len();
        self.at
    }

    /// Returns the next token's first character.
    pub(crate) fn peek(&mut self) -> Option<char> {
        self.position();
        self.rest().chars().next()
    }

    /// Consumes the token and returns true if it comes next.
    pub(crate) fn eat(&mut self, token: &str) -> bool {
        self.position();
        let Some(after) = self.rest().strip_prefix(token) else { return false };
        // `rowing` does not start with the token `row`.
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        if token.ends_with(is_word) && after.starts_with(is_word) {
            return false;
        }
        self.at += token.len();
        true
    }

    /// Consumes the token, or fails if it does not come next.
    pub(crate) fn expect(&mut self, token: &str) -> Result<(), ParseError> {
        if self.eat(token) { Ok(()) } else { Err(self.expected(format!("`{token}`"))) }
    }

    /// Consumes a string literal.
    pub(crate) fn string(&mut self) -> Result<String, ParseError> {
        let start = self.position();
        let mut chars = self.rest().char_indices();
        let Some((_, quote @ ('"' | '\''))) = chars.next() else {
            return Err(self.expected("a string"));
        };
        let mut value = String::new();
        while let Some((offset, c)) = chars.next() {
            if c == quote {
                self.at = start + offset + 1;
                return Ok(value);
            }
            value.push(match c {
                '\\' => unescape(&mut chars.by_ref().map(|(_, c)| c))
                    .ok_or_else(|| self.error(start + offset, Reason::Escape))?,
                c => c,
            });
        }
        Err(self.error(start, Reason::OpenString))
    }

    /// Consumes a number.
    pub(crate) fn number(&mut self) -> Result<Literal, ParseError> {
        if self.eat("-Infinity") {
            return Ok(Literal::Float(f64::NEG_INFINITY));
        }
        let start = self.position();
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let token = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        let digits = token.strip_prefix('-').unwrap_or(token);
        let literal = if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            None
        } else if digits.bytes().all(|b| b.is_ascii_digit()) {
            let value = token.parse().map_err(|_| self.error(start, Reason::NumberTooLarge))?;
            Some(Literal::Int(value))
        } else {
            match token.parse() {
                Ok(value) if f64::is_infinite(value) => {
                    return Err(self.error(start, Reason::NumberTooLarge));
                }
                value => value.ok().map(Literal::Float),
            }
        };
        let literal = literal.ok_or_else(|| self.expected("a number"))?;
        self.at += token.len();
        Ok(literal)
    }

    /// Makes an error for an unexpected token at the current position.
    pub(crate) fn expected(&mut self, expected: impl Into<String>) -> ParseError {
        let position = self.position();
        self.expected_at(position, expected)
    }

    /// Makes an error for an unexpected token at an earlier position.
    pub(crate) fn expected_at(&self, position: usize, expected: impl Into<String>) -> ParseError {
        let found = self.text[position..].chars().next();
        self.error(position, Reason::Expected { expected: expected.into(), found })
    }

    /// Makes an error for an earlier position.
    pub(crate) fn error(&self, position: usize, reason: Reason) -> ParseError {
        ParseError::new(self.text, position, reason)
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }
}

/// Reads the escape after a backslash; `None` if it is not a JSON escape.
fn unescape(chars: &mut impl Iterator<Item = char>) -> Option<char> {
    Some(match chars.next()? {
        c @ ('"' | '\'' | '\\' | '/') => c,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let unit = hex(chars)?;
            if let Some(c) = char::from_u32(unit.into()) {
                return Some(c);
            }
            // The first half of a surrogate pair.
            if (chars.next()?, chars.next()?) != ('\\', 'u') {
                return None;
            }
            char::decode_utf16([unit, hex(chars)?]).next()?.ok()?
        }
        _ => return None,
    })
}

fn hex(chars: &mut impl Iterator<Item = char>) -> Option<u16> {
    let value = (0..4).try_fold(0, |value, _| Some(value << 4 | chars.next()?.to_digit(16)?))?;
    u16::try_from(value).ok()
}
