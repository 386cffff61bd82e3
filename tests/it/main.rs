//! Tests of StreamTable across crates: one binary, one module per theme.
#![expect(clippy::unwrap_used, reason = "a test that cannot continue must fail")]

mod acks;
mod bad_input;
mod blocking;
mod compiler;
mod conformance;
mod crash;
mod exit;
mod laws;
mod logging;
mod media;
mod monitor;
mod property_test;
mod reading;
mod rustdoc;
mod service;
mod shapes;
mod spool;
mod support;
mod trouble;
mod typed;
