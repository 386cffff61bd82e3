//! Entry points of fuzz targets. Compiled only for them (`--cfg fuzzing`) and for the tests.

use bytes::Bytes;
use streamtable_log::{Damage, HEADER, seal};

use super::{Frame, read_segment};

/// Reads bytes as a log file; then as the payload of a frame with a right checksum.
///
/// Panics if a result breaks the reader's own rules.
pub fn log(data: &[u8]) {
    let found = read_segment(&Bytes::copy_from_slice(data));
    let mut end = 0;
    for Damage { bytes } in &found.damaged {
        assert!(end <= bytes.start && bytes.start < bytes.end && bytes.end <= data.len());
        end = bytes.end;
    }
    assert!(found.torn_at.is_none_or(|at| end <= at && at < data.len()));

    let mut bytes = [&[0; HEADER], data].concat();
    seal(&mut bytes, 7);
    let whole = bytes.len();
    let found = read_segment(&bytes.into());
    assert_eq!(found.torn_at, None);
    match &found.frames[..] {
        [(7, frame)] => {
            assert_eq!(found.damaged, []);
            let payload = Bytes::from(frame.encode()).slice(HEADER..);
            assert_eq!(Frame::decode(&payload).as_ref(), Some(frame));
        }
        [] => assert_eq!(found.damaged, [Damage { bytes: 0..whole }]),
        frames => panic!("one frame reads as {frames:?}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn any_log(data in prop::collection::vec(prop_oneof![0_u8..3, any::<u8>()], 0..300)) {
            super::log(&data);
        }
    }
}
