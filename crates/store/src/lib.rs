//! The storage of StreamTable's rows.
//!
//! [`Store`] is the interface that a server uses; [`EmbeddedStore`] implements it on one machine,
//! in a folder. This crate knows nothing of HTTP, keys or users.

mod batch;
mod columns;
pub mod conformance;
mod copies;
mod disk;
mod embedded;
mod error;
mod files;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing {
    //! Entry points of fuzz targets, which are not part of the public API.
    pub use crate::log::fuzz as log;
}
mod health;
mod live;
mod log;
mod memory;
mod query;
mod ranges;
#[cfg(test)]
mod schedules;
mod seeded_bug;
mod store;
mod table;

pub use batch::{Appended, Batch, LineNumber, LineNumberError, Numbering, RejectedLine};
pub use embedded::{EmbeddedStore, Recovery, StoreConfig};
pub use error::StoreError;
pub use files::{FileStore, LocalFiles, StoredObject};
pub use health::{Health, Problem, ProblemKind};
pub use memory::MemoryCeiling;
pub use query::{Query, Rows, row_expression};
pub use store::Store;
pub use table::{ColumnInfo, ReadRow, TableInfo, TableSummary, TypeSeen};
