//! A body of binary rows: each row that is read is written and read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use streamtable_wire::binary::{LineReader, Piece, Splitter, write_line};

fuzz_target!(|bytes: &[u8]| {
    let (mut splitter, mut reader) =
        (Splitter::default(), LineReader::default());
    splitter.push(bytes.to_vec().into());
    while let Ok(Some(piece)) = splitter.next_piece() {
        let Piece::Line(line) = piece else { continue };
        let Ok(row) = reader.read(&line) else { continue };
        let mut written = Vec::new();
        assert!(write_line(&row, &mut written).is_ok());
        assert_eq!(LineReader::default().read(&written), Ok(row));
    }
});
