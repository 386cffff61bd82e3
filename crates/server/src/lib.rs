//! StreamTable's server: the native API, live views, boards, pages, and W&B's protocol.
//!
//! It stores no rows itself: a [`Store`](streamtable_store::Store) does. A [`Catalog`] stores
//! everything else: keys, boards, runs, artifacts. Feature `wandb` (default) adds the routes of the
//! W&B protocol.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod api;
mod backup;
mod boards;
mod config;
mod documents;
mod health;
mod live;
mod metrics;
mod monitors;

mod page;
mod serve;
mod server;

pub use backup::{Backup, back_up};
pub use config::{Limits, ServerConfig, TlsFiles};
pub use monitors::MonitorsConfig;
pub use server::{Server, ServerError};
pub use streamtable_server_core::{
    ApiError, Catalog, CatalogError, Key, LostCatalog, NewKey, NotARight, Principal, Right,
};
#[cfg(feature = "wandb")]
pub use streamtable_wandb::WandbConfig;
