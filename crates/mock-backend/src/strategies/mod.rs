//! Proptest strategies for a client: values and rows, tables with matching and non-matching rows,
//! names, the operations of a program on a table, and faults.
//!
//! ```
//! use proptest::prelude::*;
//! use streamtable_mock_backend::strategies;
//! use streamtable_schema::{ColumnPolicy, Schema};
//!
//! proptest!(|(case in strategies::misfit())| {
//!     let mut schema = Schema::new(ColumnPolicy::Strict);
//!     for row in &case.rows {
//!         schema.admit(row)?;
//!     }
//!     let error = schema.admit(&case.row).unwrap_err();
//!     prop_assert_eq!(error.column(), Some(&*case.column));
//! });
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
