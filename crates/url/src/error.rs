//! Errors of the expression parser.

use crate::{MAX_FILTER_DEPTH, MAX_TEXT_BYTES, UriError};

/// The position and reason of a parse error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
#[non_exhaustive]
pub struct ParseError {
    /// The byte offset of the error; at the first byte of a character or at the end of the text.
    pub position: usize,
    /// The line of the error, from 1.
    pub line: usize,
    /// The character in that line, from 1.
    pub column: usize,
    /// The reason.
    pub reason: Reason,
}

impl ParseError {
    pub(crate) fn new(text: &str, position: usize, reason: Reason) -> Self {
        let before = &text[..position];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            position,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            reason,
        }
    }
}

/// The kind of a parse error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Something else was expected here.
    #[error("expected {expected}, found {}", found.map_or("the end".into(), |c| format!("{c:?}")))]
    Expected {
        /// A description of what was expected.
        expected: String,
        /// The character found here; `None` at the end of the text.
        found: Option<char>,
    },
    /// A string has no closing quote.
    #[error("this string has no closing quote")]
    OpenString,
    /// A backslash in a string is not followed by a JSON escape.
    #[error("expected an escape as in JSON; a backslash itself is written `\\\\`")]
    Escape,
    /// A number is out of range for its type.
    #[error("this number is too large: an integer has 128 bits, a float ends before 1.8e308")]
    NumberTooLarge,
    /// A sort has a different number of columns and directions.
    #[error("expected one direction for each column; {columns} columns have {directions}")]
    Directions {
        /// The number of columns.
        columns: usize,
        /// The number of directions.
        directions: usize,
    },
    /// The text given to `get` is not a table's address.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// Parentheses and negations nest too deeply.
    #[error("parentheses and negations nest deeper than {MAX_FILTER_DEPTH}")]
    TooDeep,
    /// The text is too long.
    #[error("the expression has {bytes} bytes, at most {MAX_TEXT_BYTES} are allowed")]
    TooLong {
        /// The text's length in bytes.
        bytes: usize,
    },
}
