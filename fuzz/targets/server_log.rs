//! A segment of a server's log.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| streamtable_store_embedded::fuzzing::log(bytes));
