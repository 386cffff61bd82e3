//! The interface of StreamTable's row storage.
//!
//! [`Store`] is the interface that a server uses, and [`conformance`] is the test suite of every
//! implementation. This crate stores nothing itself, and knows nothing of HTTP, keys or users.

mod batch;
pub mod conformance;
mod error;
mod files;
mod health;
mod memory;
mod query;
mod store;
mod table;

pub use batch::{Appended, Batch, LineNumber, LineNumberError, Numbering, RejectedLine};
pub use error::StoreError;
pub use files::{FileStore, StoredObject};
pub use health::{Health, Problem, ProblemKind};
pub use memory::MemoryCeiling;
pub use query::{Query, Rows};
pub use store::Store;
pub use table::{ColumnInfo, ReadRow, TableInfo, TableSummary, TypeSeen};
