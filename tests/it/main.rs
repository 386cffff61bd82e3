//! Tests of StreamTable across crates: one binary, a module a theme.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

mod acks;
mod bad_input;
mod blocking;
mod conformance;
mod crash;
mod laws;
mod logging;
mod media;
mod monitor;
mod spool;
mod support;
mod trouble;
