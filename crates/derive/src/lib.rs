//! The derive macro `Columns` of StreamTable: the columns of a table from a Rust type.
//!
//! The crates `streamtable` and `streamtable-schema` re-export it with their feature `derive`; their
//! trait `Columns` describes it. The macro follows serde's attributes, because they decide what a
//! value serializes as. An attribute whose effect on the columns cannot be known is an error that
//! says what to write instead.

mod attributes;
mod case;
mod expand;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;
use syn::{DeriveInput, Error, parse_macro_input};

/// Implements `Columns` for a struct with named fields, and `ColumnType` for any struct or enum.
///
/// | attribute | meaning |
/// | --- | --- |
/// | `#[columns(as = Type)]` on a field | the field serializes like this type |
/// | `#[columns(crate = "path")]` on the type | the path of the crate, instead of `streamtable` |
#[proc_macro_derive(Columns, attributes(columns, serde))]
pub fn derive_columns(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::columns(&input).unwrap_or_else(Error::into_compile_error).into()
}
