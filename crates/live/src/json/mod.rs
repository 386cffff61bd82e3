//! Cells as JSON, in the same form everywhere in the API: that of [`streamtable_wire::api`].
//!
//! What a query computes from the JSON text of lists and structs is text.

mod columns;
mod rows;
mod structs;

pub use columns::Columns;
pub use rows::write_row;
pub use streamtable_wire::api::{write_f64, write_str};
use streamtable_wire::api::{write_instant, write_non_finite, write_value};
