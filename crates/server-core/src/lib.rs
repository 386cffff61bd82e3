//! What the protocols of StreamTable's server share: error responses, access, the catalog, and
//! limits on memory and threads.
//!
//! It has no routes and stores no rows. A protocol's state contains a [`Core`], from which the
//! extractors [`Key`], [`Principal`] and [`BaseUrl`] take what they need.

mod access;
mod alerts;
mod authority;
mod base_url;
mod blocking;
mod bodies;
pub mod catalog;
pub mod clock;
mod core;
mod credentials;
mod error;
pub mod folder;
mod form;
mod hex;
mod rows_stored;
mod signing_key;

pub use access::{NotARight, Principal, Right};
pub use alerts::{Alert, AlertLevel, Alerts};
pub use authority::{Authority, NotAnAuthority, WebOrigin, WrongHost};
pub use base_url::{BaseUrl, BaseUrlConfig};
pub use blocking::{SharedPermits, run_with_permit};
pub use bodies::Bodies;
pub use catalog::{Catalog, CatalogError, Key, LostCatalog, NewKey};
pub use core::Core;
pub use credentials::{is_own_page, session_token};
pub use error::ApiError;
pub use form::form_value;
pub use hex::{hex, random_hex};
pub use rows_stored::RowsStored;
pub use signing_key::SigningKey;
