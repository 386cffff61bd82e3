//! Reads JSON, CSV and Arrow data into rows of StreamTable.
//!
//! The command line, the Python package and the server read rows with this crate, so a value means the
//! same whichever way it arrives; `docs/values.md` is the table of the rules. The crate opens no files
//! itself and sends no rows.
//!
//! Arrow data needs no feature: [`ArrowRow`] is one row of a record batch, [`ArrowRows`] reads those of a
//! stream that arrives in pieces. With the feature `files`,
//! [`Input`] detects the compression, encoding, format, delimiter and column types of a file before its
//! first row is read, and reports each choice once.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod arrow;
mod arrow_body;
mod decimal;
pub mod json;
mod naive;
mod note;
mod stored;

#[cfg(feature = "files")]
mod files;

pub use arrow::{ArrowRow, lossy_columns};
pub use arrow_body::{ARROW_STREAM_TYPE, ArrowBodyError, ArrowRows};
#[cfg(feature = "files")]
pub use files::*;
pub use naive::{NaiveTimes, UnknownZone};
pub use note::Note;
pub use streamtable_schema::{MediaSource, row_time_of_text};
pub use streamtable_wire::CellMark;
