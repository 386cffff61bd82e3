//! Binary rows: a compact encoding that StreamTable's servers accept instead of JSON lines.
//!
//! A *line* is one row with its time, as [`HistoryLine`](crate::HistoryLine) has it, without its
//! writer. It consists of a mark, a *shape* (the names and kinds of the cells) and the values, which
//! are positional. A *body* has many lines, and each of their shapes once. `docs/protocol.md` has the
//! layout of both.
//!
//! ```
//! use streamtable_schema::row;
//! use streamtable_wire::HistoryLine;
//! use streamtable_wire::binary::{BodyWriter, LineReader, Piece, Splitter, write_line};
//!
//! let sent = HistoryLine { row: row! { "path" => "/", "ms" => 7.5 }, ..HistoryLine::default() };
//! let (mut line, mut body) = (Vec::new(), BodyWriter::default());
//! write_line(&sent, &mut line)?;
//! body.push(&line)?;
//!
//! let mut splitter = Splitter::default();
//! splitter.push(body.into_bytes().into());
//! let Some(Piece::Line(received)) = splitter.next_piece()? else { panic!("no line") };
//! assert_eq!(LineReader::default().read(&received)?, sent);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod body;
mod decode;
mod encode;
mod input;
mod shape;
#[cfg(test)]
mod tests;

pub use body::{BodyWriter, Piece, SplitError, Splitter};
pub use decode::LineReader;
pub use encode::write_line;

/// The content type of a body of binary rows.
pub const BINARY_ROWS_TYPE: &str = "application/vnd.streamtable.rows";

/// The first byte of a binary line, which no JSON text begins with. Another version of the format gets
/// another byte.
const MARK: u8 = 1;

/// Returns whether a line is binary, and not JSON text.
pub fn is_binary(line: &[u8]) -> bool {
    line.first() == Some(&MARK)
}

/// Why bytes are no row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BinaryError {
    /// The line is not binary, or of a version that this program does not know.
    #[error("the row is not in a known format")]
    Version,
    /// The row ends before its last value.
    #[error("the row is incomplete")]
    Incomplete,
    /// Bytes follow the last value.
    #[error("the row has more bytes than values")]
    Extra,
    /// A byte that names a kind of value, or a set of flags, has no meaning.
    #[error("the row has a kind of value or a flag with the unknown number {number}")]
    Unknown {
        /// The number.
        number: u8,
    },
    /// A text is not UTF-8.
    #[error("a text in the row is not UTF-8")]
    Utf8,
    /// Lists and structs are nested too deep.
    #[error("lists and structs are nested deeper than {} levels", streamtable_schema::MAX_DEPTH)]
    TooDeep,
    /// Two columns, or two fields of a struct, have the same name.
    #[error("the name {name:?} appears twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A column has a name that the protocol uses.
    #[error("the column name {name:?} is reserved")]
    Reserved {
        /// The name.
        name: String,
    },
    /// A struct would be read as a cell of the protocol.
    #[error("a struct may not have the `_type` {text:?}, which the protocol uses")]
    ReservedType {
        /// The `_type`.
        text: String,
    },
    /// A list needs more memory than its bytes justify.
    #[error("a list repeats the names of its elements too often")]
    Repetition,
    /// A media cell has no usable file.
    #[error("a media cell is invalid: {reason}")]
    Media {
        /// The reason.
        reason: String,
    },
}
