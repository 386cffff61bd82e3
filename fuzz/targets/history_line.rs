//! A history line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use streamtable_wire::HistoryLine;

fuzz_target!(|text: &str| {
    let _ = HistoryLine::parse(text);
});
