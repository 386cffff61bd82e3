//! Why a text is not an expression.

use crate::{MAX_FILTER_DEPTH, MAX_TEXT_BYTES, UriError};

/// Where a text stops being an expression, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
#[non_exhaustive]
pub struct ParseError {
    /// How many bytes of the text stand before that place; at a character's first byte, or at
    /// the text's end.
    pub position: usize,
    /// The line of that place, from 1.
    pub line: usize,
    /// The character in that line, from 1.
    pub column: usize,
    /// What is wrong there.
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

/// What is wrong at one place of a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Something else had to stand here.
    #[error("expected {expected}, found {}", found.map_or("the end".into(), |c| format!("{c:?}")))]
    Expected {
        /// What can stand here, in words.
        expected: String,
        /// The character that stands here; none at the end of the text.
        found: Option<char>,
    },
    /// A string has no closing quote.
    #[error("this string has no closing quote")]
    OpenString,
    /// A backslash in a string is followed by nothing that JSON knows.
    #[error("expected an escape as in JSON; a backslash itself is written `\\\\`")]
    Escape,
    /// A number is larger than its kind can hold.
    #[error("this number is too large: an integer has 128 bits, a float ends before 1.8e308")]
    NumberTooLarge,
    /// A sort names more or fewer columns than directions.
    #[error("expected one direction for each column; {columns} columns have {directions}")]
    Directions {
        /// How many columns it names.
        columns: usize,
        /// How many directions it names.
        directions: usize,
    },
    /// The text given to `get` names no table.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// Parentheses and negations lie too deep in one another.
    #[error("at most {MAX_FILTER_DEPTH} parentheses and negations may lie in one another")]
    TooDeep,
    /// The text is too long.
    #[error("the expression has {bytes} bytes, at most {MAX_TEXT_BYTES} are allowed")]
    TooLong {
        /// How many bytes it has.
        bytes: usize,
    },
}
