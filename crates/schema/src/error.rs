//! Why a row does not fit its table.

use crate::types::at;
use crate::{MAX_DEPTH, MediaError, Type};

/// Why a row was refused: which column, and what about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The table has a column that the row lacks, and its columns are strict.
    #[error(
        "column {column:?} is missing: every row has the table's columns, null where it knows no value"
    )]
    MissingColumn {
        /// The first such column, in the table's order.
        column: String,
    },
    /// The row has a column that the table lacks, and its columns are strict.
    #[error(
        "column {column:?} is not one of the table's; open it with evolving columns to add some"
    )]
    ExtraColumn {
        /// The first such column, in the row's order.
        column: String,
    },
    /// The row has two cells of one name.
    #[error("column {column:?} is there twice in one row; keep one")]
    DuplicateColumn {
        /// The column.
        column: String,
    },
    /// The protocol gives the name a meaning of its own.
    #[error("column {column:?} is reserved by the protocol; choose another name")]
    ReservedColumn {
        /// The column.
        column: String,
    },
    /// The table would have more columns than it may.
    #[error("column {column:?} would be one more than the {limit} that a table may have")]
    TooManyColumns {
        /// The column that is one too many.
        column: String,
        /// How many a table may have.
        limit: usize,
    },
    /// The row has no cell, and its table no column to compare it with.
    #[error("the first row of a table has no cell; log one that names the columns")]
    EmptyRow,
    /// A list or a struct met another kind.
    #[error("column {column:?} holds {held}, this row has {came}{}", at(path))]
    Mismatch {
        /// The column.
        column: String,
        /// Where inside the cell, such as `.a[].b`; empty for the cell itself.
        path: String,
        /// What the column holds there.
        held: Type,
        /// What the row has there.
        came: Type,
    },
    /// A value has no meaning in a table.
    #[error("column {column:?}: {error}")]
    Value {
        /// The column.
        column: String,
        /// What is wrong with the value.
        #[source]
        error: ValueError,
    },
    /// What was given as a row serializes as something else than a struct or a map.
    #[error("a row is a struct or a map of columns, not {found}")]
    NotARow {
        /// What it serializes as.
        found: Type,
    },
}

impl SchemaError {
    /// Returns the column that the error is about, where it is about one.
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

/// Why a value has no meaning in a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// An integer that 64 bits with a sign do not hold.
    #[error("the integer {value} does not fit 64 bits with a sign; log it as a string or a float")]
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
    /// A map's key is neither a text nor a finite number nor a boolean.
    #[error("a map's key is neither a text nor a number nor a boolean; make it a text")]
    BadKey,
    /// A struct has two fields of one name.
    #[error("the field {name:?} is there twice in one struct; keep one")]
    DuplicateField {
        /// The field.
        name: String,
    },
    /// A struct has a `_type` that readers would take for a cell of the protocol's own.
    #[error("a struct's field \"_type\" may not be {text:?}, which has a meaning in the protocol")]
    ReservedType {
        /// The field's text.
        text: String,
    },
    /// Bytes that say not what they are.
    #[error("bytes have no column type; wrap them in `Media`, or log a list of numbers")]
    BareBytes,
    /// A media value that cannot be one.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The value's own `Serialize` gave up, or wrote what nothing here can read.
    #[error("cannot be serialized: {what}")]
    Unsupported {
        /// What it said.
        what: String,
    },
}

impl ValueError {
    /// Makes the error for a value that nests too deeply.
    pub const fn too_deep() -> Self {
        Self::TooDeep { limit: MAX_DEPTH }
    }
}
