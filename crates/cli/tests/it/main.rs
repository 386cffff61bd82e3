//! The binary as a user meets it: a server in a process of its own, and commands that speak to it.

mod demo;
mod errors;
mod follow;
mod help;
mod keys;
mod round_trips;
mod spool;
mod support;
