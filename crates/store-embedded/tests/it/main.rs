//! Tests of the embedded store through its public API: conformance, crashes, damage, full disks.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

mod bucket;
mod clients;
mod conformance;
mod crashes;
mod damage;
mod flush;
mod folders;
mod full;
mod hostile_sql;
mod matrix;
mod mixed;
mod nested;
#[path = "../../../log/tests/it/object_stores.rs"]
mod object_stores;
mod order;
mod row_time;
mod support;
mod unreadable;
mod wide;
