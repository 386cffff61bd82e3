//! JSON as the protocol's clients write it: with `NaN` and the infinities as bare words, and
//! integers of any length.

mod parse;
mod scan;
mod without;
mod write;

use serde::Deserialize;

pub(crate) use parse::parse_object;
pub use parse::{JsonError, parse};
pub use without::without;
pub(crate) use write::{write_f64, write_i64, write_plain, write_str, write_str_body};

/// Parses a document that must be an object. Without this check, serde would also accept an array
/// of the fields.
pub(crate) fn object_from_slice<'a, T: Deserialize<'a>>(body: &'a [u8]) -> serde_json::Result<T> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(serde::de::Error::custom("an array where an object is expected"));
    }
    serde_json::from_slice(body)
}
