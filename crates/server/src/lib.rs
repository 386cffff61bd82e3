//! StreamTable's server: W&B-compatible ingest and control, a native API, live queries.
//!
//! It keeps no rows itself: a [`Store`](streamtable_store::Store) does.

mod access;
mod api;
mod error;
mod state;

pub use access::{Principal, Right};
pub use error::ApiError;
pub use state::AppState;
