//! What a reader changed or chose.

use std::fmt;

/// A change of values, or a choice of the reader. Each is reported once per source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Note {
    /// The column, if the note is about one.
    pub column: Option<String>,
    /// What happened, and how to change it.
    pub text: String,
}

impl Note {
    /// Makes a note on the source.
    pub fn new(text: impl Into<String>) -> Self {
        Self { column: None, text: text.into() }
    }

    /// Makes a note on a column.
    pub fn column(column: impl Into<String>, text: impl Into<String>) -> Self {
        Self { column: Some(column.into()), text: text.into() }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(column) = &self.column {
            write!(f, "column {column:?}: ")?;
        }
        f.write_str(&self.text)
    }
}
