//! Errors for rows that do not fit their table.

use crate::{MAX_DEPTH, MediaError, Type};

/// The reason why a row was refused: the column and the problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The row lacks a column of the table, and the table's columns are strict.
    #[error(
        "column {column:?} is missing: every row has the table's columns, null with null for an unknown value"
    )]
    MissingColumn {
        /// The first missing column, in the table's order.
        column: String,
    },
    /// The row has a column that the table lacks, and the table's columns are strict.
    #[error(
        "column {column:?} is not one of the table's; open the table with evolving columns to add it"
    )]
    ExtraColumn {
        /// The first extra column, in the row's order.
        column: String,
    },
    /// The row has two cells with the same name.
    #[error("column {column:?} appears twice in one row; keep one")]
    DuplicateColumn {
        /// The column.
        column: String,
    },
    /// The protocol reserves the name for its own use.
    #[error("column {column:?} is reserved by the protocol; choose another name")]
    ReservedColumn {
        /// The column.
        column: String,
    },
    /// The row would give the table more columns than the limit.
    #[error("column {column:?} exceeds the limit of {limit} columns in a table")]
    TooManyColumns {
        /// The column that exceeds the limit.
        column: String,
        /// The maximum number of columns of a table.
        limit: usize,
    },
    /// The row has no cells, and the table has no columns yet.
    #[error("the first row of a table has no cells; it must have at least one column")]
    EmptyRow,
    /// The column has the times of the rows, the row has another value there, and the table's columns
    /// are strict.
    #[error("column {column:?} holds {held}, this row has {came}")]
    Mismatch {
        /// The column.
        column: String,
        /// The type of the column.
        held: Type,
        /// The type of the row's value.
        came: Type,
    },
    /// The value cannot be stored in a table.
    #[error("column {column:?}: {error}")]
    Value {
        /// The column.
        column: String,
        /// The problem with the value.
        error: ValueError,
    },
    /// The value given as a row serializes as something other than a struct or a map.
    #[error("a row is a struct or a map of columns, not {found}")]
    NotARow {
        /// The type that it serializes as.
        found: Type,
    },
}

impl SchemaError {
    /// Returns the column that the error is about, if it is about one.
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::MissingColumn { column }
            | Self::ExtraColumn { column }
            | Self::DuplicateColumn { column }
            | Self::ReservedColumn { column }
            | Self::TooManyColumns { column, .. }
            | Self::Mismatch { column, .. }
            | Self::Value { column, .. } => Some(column),
            Self::EmptyRow | Self::NotARow { .. } => None,
        }
    }
}

/// The reason why a value cannot be stored in a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// An integer that does not fit a signed 64-bit integer.
    #[error(
        "the integer {value} does not fit a signed 64-bit integer; log it as a string or a float"
    )]
    IntegerRange {
        /// The integer in decimal.
        value: String,
    },
    /// Lists and structs nest deeper than [`MAX_DEPTH`].
    #[error("lists and structs nest deeper than {limit}; flatten them, or log them as a string")]
    TooDeep {
        /// [`MAX_DEPTH`].
        limit: usize,
    },
    /// A map key is not a string, a finite number or a boolean.
    #[error("a map's key is not a string, a number or a boolean; convert it to a string")]
    BadKey,
    /// A struct has two fields with the same name.
    #[error("the field {name:?} appears twice in one struct; keep one")]
    DuplicateField {
        /// The field.
        name: String,
    },
    /// A struct has a `_type` field that readers would mistake for a cell of the protocol.
    #[error("a struct's field \"_type\" may not be {text:?}, which the protocol reserves")]
    ReservedType {
        /// The value of the field.
        text: String,
    },
    /// Bytes without a media type.
    #[error("bytes have no column type; wrap them in `Media`, or log a list of numbers")]
    BareBytes,
    /// An invalid media value.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The value's `Serialize` implementation returned an error or produced unsupported data.
    #[error("cannot be serialized: {what}")]
    Unsupported {
        /// The error message of the implementation.
        what: String,
    },
}

impl ValueError {
    /// Makes the error for a value that nests too deeply.
    pub const fn too_deep() -> Self {
        Self::TooDeep { limit: MAX_DEPTH }
    }
}
