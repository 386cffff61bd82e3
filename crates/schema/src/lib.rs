//! The basic types of StreamTable: names, values, rows, column types and the rules that unite
//! types.
//!
//! This crate does no I/O, reads no clock and does not know how rows are sent. A program that only
//! builds or checks rows needs no other crate of the project.
//!
//! ```
//! use streamtable_schema::{ColumnPolicy, Schema, TableName, row};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let name: TableName = "my-team/shop/requests".parse()?;
//!     assert_eq!(name.table(), "requests");
//!
//!     let mut schema = Schema::new(ColumnPolicy::Strict);
//!     schema.admit(&row! { "path" => "/", "ms" => 7 })?;
//!     schema.admit(&row! { "path" => "/cart", "ms" => None::<i64> })?;
//!     assert_eq!(schema.to_string(), "path: string, ms: int?");
//!
//!     // A row that does not fit changes nothing; the error names the column and the reason.
//!     let error = schema.admit(&row! { "path" => "/" }).unwrap_err();
//!     assert_eq!(error.column(), Some("ms"));
//!     Ok(())
//! }
//! ```
//!
//! The feature `derive` adds `#[derive(Columns)]`.
//!
//! | feature | converts to a [`Value`] |
//! | --- | --- |
//! | `chrono` | `chrono::DateTime`, to a timestamp |
//! | `jiff-02` | `jiff::Timestamp` and `jiff::Zoned` of jiff 0.2, to a timestamp |
//! | `jiff-1` | `jiff::Timestamp` and `jiff::ZonedDateTime` of jiff 1, to a timestamp |
//! | `time` | `time::OffsetDateTime` and `time::UtcDateTime`, to a timestamp |
//! | `uuid` | `uuid::Uuid`, to a string |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod columns;
mod conversions;
mod deserialize;
mod error;
#[cfg(test)]
mod laws;
mod media;
mod row;
mod row_time;
mod schema;
mod serialize;
mod time;
mod types;
mod value;

pub use columns::{ColumnType, Columns};
pub use error::{SchemaError, ValueError};
pub use media::{Media, MediaError, MediaKind, MediaSource, StoredFile};
pub use row::{Cells, Row};
pub use row_time::{TIMESTAMP_COLUMN, is_row_time, row_time_of_text};
pub use schema::{Change, Column, ColumnPolicy, MAX_COLUMNS, RowCheck, Schema, check_row_time};
pub use time::{NotATimestamp, Timestamp, nanoseconds, timestamp};
pub use types::{Fields, Type, Union};
pub use value::{MAX_DEPTH, Value};

pub use streamtable_name::{NameError, NamePart, TableName, TablePath};

/// Implements [`Columns`](trait@Columns) for a struct with named fields, and [`ColumnType`] for any
/// struct or enum.
#[cfg(feature = "derive")]
pub use streamtable_derive::Columns;

/// Items used by derived code.
#[doc(hidden)]
pub mod derive {
    pub use serde::Serialize;

    pub use crate::columns::{any_of, guard};
    pub use crate::{ColumnType, Columns, Type};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Support for the project's own serializers, for values that serde's data model lacks.
#[doc(hidden)]
pub mod token {
    pub use crate::__refuse as refuse;
    pub use crate::media::MEDIA_TOKEN as MEDIA;
    pub use crate::serialize::{
        JSON_NUMBER, JSON_RAW, key_from_serialize as key, media_from_token as media,
        row_to_hand_back, timestamp_from_token as timestamp,
    };
    pub use crate::time::TIMESTAMP_TOKEN as TIMESTAMP;
}
