//! The binary as a user meets it: a server in a process of its own, and commands that speak to it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod board;
mod crash;
mod demo;
mod errors;
mod follow;
mod help;
mod keys;
mod round_trips;
mod serve;
mod spool;
mod support;
