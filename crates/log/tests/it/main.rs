//! Tests of logs in the buckets of real servers.

mod clients;
