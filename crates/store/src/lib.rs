//! The interface of StreamTable's row storage.
//!
//! A server uses a [`Store`], which can [`Append`], [`Read`] and [`Query`]; code that does only one
//! of these takes only that trait. [`conformance`] is the test suite of every implementation. This
//! crate stores nothing itself, and knows nothing of HTTP, keys or users.
//!
//! ```
//! use streamtable_schema::TablePath;
//! use streamtable_store::{Read, StoreError};
//!
//! /// Returns the number of rows in a table.
//! async fn count(store: &dyn Read, table: &TablePath) -> Result<u64, StoreError> {
//!     Ok(store.table(table).await?.map_or(0, |info| info.summary.rows))
//! }
//! ```

mod batch;
pub mod conformance;
mod error;
mod files;
mod health;
mod memory;
mod permits;
mod query;
mod stats;
mod store;
mod table;

pub use batch::{
    Appended, Batch, LineNumber, LineNumberError, OnDuplicate, RejectedLine, ReservedWriter,
    check_writer,
};
pub use error::StoreError;
pub use files::{FileStore, StoredObject};
pub use health::{Health, Problem, ProblemKind};
pub use memory::MemoryCeiling;
pub use permits::OwnerPermits;
pub use query::{ResultTypes, Rows, SqlQuery};
pub use stats::{StoreStats, Work};
pub use store::{Append, Query, Read, Store};
pub use table::{ColumnInfo, ReadRow, TableInfo, TableSummary, TypeSeen};
