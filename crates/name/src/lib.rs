//! The names of StreamTable's tables, parsed and checked.
//!
//! A [`TableName`] is what a caller writes, and a [`TablePath`] has all three parts. `streamtable-schema`
//! exports both. This crate does no I/O, and knows no server.
//!
//! ```
//! use streamtable_name::{NameError, TableName};
//!
//! fn main() -> Result<(), NameError> {
//!     let name: TableName = "shop/requests".parse()?;
//!     assert_eq!(name.with_entity("my-team")?.to_path()?.to_string(), "my-team/shop/requests");
//!
//!     let error = "my team/shop/requests".parse::<TableName>().unwrap_err();
//!     assert!(error.to_string().starts_with("the entity \"my team\" contains ' '"));
//!     Ok(())
//! }
//! ```
//!
//! | feature | adds |
//! | --- | --- |
//! | `serde` | names are serialized as their text |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod name;

pub use name::{NameError, NamePart, TableName, TablePath};
