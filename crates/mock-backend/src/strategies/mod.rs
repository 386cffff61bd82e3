//! Proptest strategies for a client: values and rows, tables with matching and non-matching rows,
//! names, the operations of a program on a table, and faults.
//!
//! A complete test, in paused time. It needs `streamtable`, `proptest`, and tokio with `test-util`:
//!
//! ```ignore
#![doc = include_str!("../../doc/property_test.rs")]
//! ```

mod faults;
mod media;
mod misfit;
mod names;
mod rows;
mod session;
mod types;
mod values;

pub use faults::{fatal_fault, fault_plan, passing_fault};
pub use media::{image, stored_media};
pub use misfit::{Misfit, Mutation, misfit};
pub use names::{bad_table_name, column_name, table_name, table_path};
pub use rows::{columns, row, row_of, rows, rows_of};
pub use session::{Op, ops};
pub use types::{singleton_type, types};
pub use values::{text, value, value_of};

#[cfg(test)]
mod tests;
