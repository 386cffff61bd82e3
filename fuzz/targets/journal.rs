//! A segment of a client's spool.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| streamtable::fuzzing::journal(bytes));
