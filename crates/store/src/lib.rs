//! Where StreamTable's rows live.
//!
//! [`Store`] is what a server needs of storage; what it promises is told there. Nothing here knows
//! HTTP, keys or users.

mod batch;
mod error;
mod files;
mod query;
mod store;
mod table;

pub use batch::{Appended, Batch, Numbering, RejectedLine};
pub use error::StoreError;
pub use files::{FileStore, LocalFiles, StoredObject};
pub use query::{Query, Rows};
pub use store::Store;
pub use table::{ColumnInfo, ReadRow, TableInfo, TableSummary, TypeSeen};
