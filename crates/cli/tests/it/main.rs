//! Tests of the binary: a server in its own process, and commands that use it.

#![expect(clippy::unwrap_used, reason = "a panic shows where the test failed")]

mod again;
mod backup;
mod board;
mod captive;
#[cfg(unix)]
mod clients;
mod crash;
mod demo;
mod errors;
mod follow;
mod help;
mod keys;
mod monitor;
#[cfg(unix)]
#[path = "../../../log/tests/it/object_stores.rs"]
mod object_stores;
mod reading;
mod round_trips;
mod serve;
mod spool;
mod support;
