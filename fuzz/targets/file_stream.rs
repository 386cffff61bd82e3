//! The bodies of row requests and of their responses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use streamtable_wire::{FileStreamAnswer, FileStreamRequest};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = FileStreamRequest::parse(bytes) {
        let written = request.to_bytes();
        assert_eq!(FileStreamRequest::parse(&written).ok(), Some(request));
    }
    let _ = FileStreamAnswer::parse(bytes);
});
