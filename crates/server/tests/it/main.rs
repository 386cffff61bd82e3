//! The server over real sockets.
#![expect(clippy::unwrap_used, reason = "a test fails if its setup fails")]

mod admission;
mod boards;
mod clients;
mod conformance;
mod connections;
mod damage;
mod http;
mod kills;
mod live;
mod lost_catalog;
mod proxy;
mod reading;
mod security;
mod support;
mod trouble;
