//! The server over real sockets.
#![expect(clippy::unwrap_used, reason = "a test fails if its setup fails")]

#[cfg(feature = "wandb")]
mod admission;
mod boards;
#[cfg(feature = "wandb")]
mod clients;
#[cfg(feature = "wandb")]
mod conformance;
mod connections;
mod damage;
#[cfg(feature = "wandb")]
mod documents;
#[cfg(feature = "wandb")]
mod exact;
#[cfg(feature = "wandb")]
mod files;
#[cfg(feature = "wandb")]
mod graphql;
mod http;
#[cfg(feature = "wandb")]
mod kills;
mod live;
mod lost_catalog;
mod metrics;
mod monitors;
#[cfg(feature = "wandb")]
mod proxy;
#[cfg(feature = "wandb")]
mod reading;
mod rows;
mod security;
mod support;
#[cfg(feature = "wandb")]
mod trouble;
#[cfg(feature = "wandb")]
mod values;
#[cfg(feature = "wandb")]
mod wandb;
#[cfg(feature = "wandb")]
mod wandb_features;
