//! The storage of StreamTable's rows on one machine, in a folder.
//!
//! [`EmbeddedStore`] implements the traits of `streamtable-store`, and [`LocalFiles`] stores files
//! next to it. This crate knows nothing of HTTP, keys or users.

mod backup;
mod columns;
mod embedded;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing {
    //! Entry points of fuzz targets, which are not part of the public API.
    pub use crate::log::fuzz as log;
}
mod local_files;
mod log;
mod memtable;
mod place;
mod query;
mod ranges;
#[cfg(test)]
mod schedules;
mod seeded_bug;
mod tally;

use streamtable_log::{copies, disk};

pub use backup::{Copied, Copier};
pub use embedded::{EmbeddedStore, Recovery, StoreConfig, damaged_files};
pub use local_files::LocalFiles;
pub use place::TablesPlace;
pub use query::row_expression;
