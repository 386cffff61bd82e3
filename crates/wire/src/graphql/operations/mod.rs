//! The operations for opening a table and uploading its media.

mod artifact;
mod create;
mod files;
mod find;
mod login;
mod read;

use serde::{Deserialize, Deserializer, Serialize};

use super::Operation;

pub use artifact::*;
pub use create::*;
pub use files::*;
pub use find::*;
pub use login::*;
pub use read::*;

/// Declares the variables of an operation: a struct whose fields are named as in the document and
/// which rejects unknown fields.
macro_rules! variables {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
    };
}

/// Declares a part of a response. Unknown fields from the server are ignored.
macro_rules! answer {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
    };
}
use {answer, variables};

/// Reads a field that an answer must have, even if it is null: an answer without the fields that
/// the operation asks for is not an answer to it.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::deserialize(deserializer)
}

answer! {
    /// An object of which only the name is needed.
    Named {
        /// The name.
        name: String,
    }
}

answer! {
    /// An object of which only the id is needed.
    Identified {
        /// The id.
        id: String,
    }
}
