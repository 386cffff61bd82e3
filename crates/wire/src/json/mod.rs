//! JSON as the protocol's clients write it: with `NaN` and the infinities as bare words, and
//! integers of any length.

mod parse;
mod write;

pub use parse::{JsonError, parse};
pub(crate) use write::{write_f64, write_i64, write_plain, write_str, write_str_body};
