//! Where StreamTable's rows live.
//!
//! [`Store`] is what a server needs of storage; [`EmbeddedStore`] keeps it on one machine, in a
//! folder. Nothing here knows HTTP, keys or users.

mod batch;
mod columns;
pub mod conformance;
mod embedded;
mod error;
mod files;
mod live;
mod log;
mod query;
mod ranges;
mod store;
mod table;

pub use batch::{Appended, Batch, Numbering, RejectedLine};
pub use embedded::{EmbeddedStore, Recovery, StoreConfig};
pub use error::StoreError;
pub use files::{FileStore, LocalFiles, StoredObject};
pub use query::{Query, Rows, row_expression};
pub use store::Store;
pub use table::{ColumnInfo, ReadRow, TableInfo, TableSummary, TypeSeen};
