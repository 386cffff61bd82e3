//! Entry points for fuzz targets: parsers that are otherwise private. Compiled for fuzzing (`--cfg
//! fuzzing`) and for tests.

use crate::spool::frame::{FRAME_OVERHEAD, Header, scan, write_frame};

/// Parses bytes as a segment of the spool; then intact frames that bytes of the input damage.
///
/// Panics if a result violates the parser's invariants.
pub fn journal(data: &[u8]) {
    let _ = Header::read(data);
    check(data);

    let (mut bytes, mut rest) = (Vec::new(), data);
    let mut count = 0;
    while let Some((&length, left)) = rest.split_first()
        && count < u64::from(data[0] % 8)
    {
        let (text, left) = left.split_at(usize::from(length).min(left.len()));
        write_frame(&mut bytes, 0, count, text);
        (count, rest) = (count + 1, left);
    }
    let lines = |bytes: &[u8]| scan(bytes, 0, 0).frames.iter().map(|it| it.line).collect();
    let found: Vec<u64> = lines(&bytes);
    assert!(found.into_iter().eq(0..count), "whole frames are all found");
    for &[at_low, at_high, byte] in rest.as_chunks().0 {
        let at = usize::from(u16::from_le_bytes([at_low, at_high]));
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
    }
    check(&bytes);
}

fn check(bytes: &[u8]) {
    let scan = scan(bytes, 0, 0);
    assert!(scan.frames.windows(2).all(|pair| {
        pair[0].line < pair[1].line && pair[0].text.end + FRAME_OVERHEAD <= pair[1].text.start
    }));
    let texts = scan.frames.iter().map(|frame| &frame.text);
    for range in texts.chain(&scan.damaged).chain([&scan.torn]) {
        assert!(range.start <= range.end && range.end <= bytes.len(), "{range:?}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn any_journal(data in prop::collection::vec(prop_oneof![0_u8..9, any::<u8>()], 0..400)) {
            super::journal(&data);
        }
    }
}
