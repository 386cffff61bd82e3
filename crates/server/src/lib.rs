//! StreamTable's server: W&B-compatible ingest and control, a native API, live queries.
//!
//! It keeps no rows itself: a [`Store`](streamtable_store::Store) does. Beside it is a [`Catalog`]
//! of what is no row: keys, runs, artifacts.

mod access;
mod api;
mod authority;
mod boards;
mod catalog;
mod clock;
mod config;
mod error;
mod folder;
mod graphql;
mod health;
mod ingest;
mod live;
mod origin;
mod page;
mod rows;
mod serve;
mod server;
mod state;
mod storage;
mod turns;

pub use access::{NotARight, Principal, Right};
pub use catalog::{Catalog, CatalogError, Key, NewKey};
pub use config::{Limits, LostCatalog, ServerConfig, TlsFiles};
pub use error::ApiError;
pub use server::{Server, ServerError};
pub use state::AppState;
