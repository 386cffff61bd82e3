//! The server over real sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

mod boards;
mod clients;
mod conformance;
mod damage;
mod http;
mod kills;
mod live;
mod proxy;
mod reading;
mod security;
mod support;
mod trouble;
