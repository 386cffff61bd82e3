//! Finds the bytes of a text that JSON escapes, eight bytes at a time.

/// A word with every byte set to 1.
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x80 * ONES;
const WORD_BYTES: usize = size_of::<u64>();

/// Returns the number of bytes before the first that must be escaped in a JSON string: a quote, a
/// backslash or a control character.
pub(super) fn plain_len(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks();
    for (i, &word) in words.iter().enumerate() {
        if let Some(before) = first_special(word) {
            return i * WORD_BYTES + before;
        }
    }
    let in_words = bytes.len() - tail.len();
    in_words + tail.iter().position(|&byte| is_special(byte)).unwrap_or(tail.len())
}

/// Returns the index of the first special byte among eight, if there is one.
fn first_special(bytes: [u8; WORD_BYTES]) -> Option<usize> {
    let word = u64::from_le_bytes(bytes);
    // The lowest set bit is correct. Higher ones may be wrong, because a subtraction may have
    // borrowed from the previous byte.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    let quotes = zeros(word ^ (ONES * u64::from(b'"')));
    let backslashes = zeros(word ^ (ONES * u64::from(b'\\')));
    let controls = word.wrapping_sub(ONES * u64::from(b' ')) & !word;
    let found = (quotes | backslashes | controls) & HIGH_BITS;
    (found != 0).then_some(found.trailing_zeros() as usize / 8)
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\') || byte < b' '
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_byte_at_every_position() {
        for place in 0..8 {
            for byte in 0..=u8::MAX {
                for other in [b'a', 0x80, 0xff, b'!', b'#', b'[', b']', b' '] {
                    let mut word = [other; 8];
                    word[place] = byte;
                    let expected = is_special(byte).then_some(place);
                    assert_eq!(first_special(word), expected, "{byte:#x} at {place} of {other:#x}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn finds_the_first(bytes in prop::collection::vec(prop_oneof![Just(b'a'), any::<u8>()], 0..40)) {
            let first = bytes.iter().position(|&byte| is_special(byte));
            prop_assert_eq!(plain_len(&bytes), first.unwrap_or(bytes.len()));
        }
    }
}
