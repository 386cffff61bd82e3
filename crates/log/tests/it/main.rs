//! Tests of logs in the buckets of real servers.
#![expect(clippy::unwrap_used, reason = "a test fails if its setup fails")]

mod clients;
mod object_stores;
