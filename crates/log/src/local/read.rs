//! Reads a log file after a restart.

use std::ops::Range;

use bytes::Bytes;

use super::frame::{HEADER, MAGIC, open};

/// The content of a log file.
#[derive(Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// The frames, in order, with their sequence numbers.
    pub frames: Vec<(u64, T)>,
    /// Bytes that are not a frame but are followed by one, or whose checksum is wrong.
    pub damaged: Vec<Damage>,
    /// The offset of a write that was cut off at the end, if there was one: it was never acked.
    pub torn_at: Option<usize>,
}

/// A part of a log file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The bytes.
    pub bytes: Range<usize>,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self { frames: Vec::new(), damaged: Vec::new(), torn_at: None }
    }
}

/// Finds all undamaged frames whose payloads `decode` accepts.
///
/// A frame that cannot be read is skipped up to the next readable one. At the end of the file, if
/// no frame follows, it is a write that was cut off.
pub fn read_segment<T>(file: &Bytes, decode: impl Fn(&Bytes) -> Option<T>) -> Found<T> {
    let mut found = Found::default();
    let mut at = 0;
    while at + HEADER <= file.len() {
        let rest = file.slice(at..);
        if let Some((sequence, payload, length)) = open(&rest) {
            match decode(&payload) {
                Some(frame) => found.frames.push((sequence, frame)),
                None => found.damaged.push(Damage { bytes: at..at + length }),
            }
            at += length;
            continue;
        }
        match next_frame(file, at + 1) {
            Some(next) => {
                found.damaged.push(Damage { bytes: at..next });
                at = next;
            }
            None => {
                // Preallocated files are zero after the last frame.
                found.torn_at = rest.iter().any(|&byte| byte != 0).then_some(at);
                break;
            }
        }
    }
    found
}

/// Returns the sequence number in the first header of a file, and reads no further. The number is
/// not checked: it is used only for the order in which files are read.
pub fn first_sequence(header: &[u8]) -> Option<u64> {
    let header = header.get(..HEADER).filter(|header| header[..4] == MAGIC)?;
    Some(u64::from_le_bytes(header[12..20].try_into().ok()?))
}

/// Finds the offset of the next undamaged frame.
fn next_frame(file: &Bytes, mut from: usize) -> Option<usize> {
    loop {
        let ahead = find(file.get(from..)?, &MAGIC)?;
        from += ahead;
        if open(&file.slice(from..)).is_some() {
            return Some(from);
        }
        from += 1;
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frame::seal;
    use super::*;

    fn frame(n: u64) -> Bytes {
        format!("the payload of frame {n}").into()
    }

    fn bytes(n: u64) -> Vec<u8> {
        let mut bytes = [&[0; HEADER], &frame(n)[..]].concat();
        seal(&mut bytes, n);
        bytes
    }

    fn read(file: Vec<u8>) -> Found<Bytes> {
        read_segment(&file.into(), |payload| Some(payload.clone()))
    }

    /// Three frames in a preallocated file, changed by `edit`.
    #[track_caller]
    fn check(edit: impl FnOnce(&mut Vec<u8>, usize), expected: Found<Bytes>) {
        let length = bytes(0).len();
        let mut file = [bytes(0), bytes(1), bytes(2)].concat();
        file.resize(file.len() + 100, 0);
        edit(&mut file, length);
        assert_eq!(read(file), expected);
    }

    fn frames(numbers: &[u64]) -> Vec<(u64, Bytes)> {
        numbers.iter().map(|&n| (n, frame(n))).collect()
    }

    #[test]
    fn whole() {
        check(|_, _| (), Found { frames: frames(&[0, 1, 2]), ..Found::default() });
        assert_eq!(read(Vec::new()), Found::default());
    }

    #[test]
    fn torn() {
        check(
            |file, length| file.truncate(2 * length + 22),
            Found {
                frames: frames(&[0, 1]),
                torn_at: Some(2 * bytes(0).len()),
                ..Found::default()
            },
        );
        check(
            |file, length| file[3 * length - 5..].fill(0),
            Found {
                frames: frames(&[0, 1]),
                torn_at: Some(2 * bytes(0).len()),
                ..Found::default()
            },
        );
    }

    #[test]
    fn a_payload_that_cannot_be_decoded_is_damage() {
        let file = [bytes(0), bytes(1)].concat();
        let length = bytes(0).len();
        let found = read_segment(&file.into(), |payload| (*payload == frame(1)).then_some(()));
        assert_eq!((found.frames, found.torn_at), (vec![(1, ())], None));
        assert_eq!(found.damaged, [Damage { bytes: 0..length }]);
    }

    #[test]
    fn damaged() {
        let length = bytes(0).len();
        let damaged = vec![Damage { bytes: length..2 * length }];
        let expected =
            || Found { frames: frames(&[0, 2]), damaged: damaged.clone(), ..Found::default() };
        check(|file, length| file[length + 30] ^= 1, expected());
        check(|file, length| file[length..2 * length].fill(0), expected());
        check(|file, length| file[length + 4..length + 8].fill(255), expected());
    }

    proptest! {
        /// Whatever changes in a file, all undamaged frames before the first change are found.
        #[test]
        fn any_change(at in 0usize..140, with in prop::collection::vec(any::<u8>(), 1..50)) {
            let length = bytes(0).len();
            let mut file = [bytes(0), bytes(1), bytes(2)].concat();
            let at = at.min(file.len() - 1);
            for (place, byte) in file[at..].iter_mut().zip(with) {
                *place = byte;
            }
            let found = read(file);
            prop_assert!(found.frames.len() >= at / length);
            for (n, (sequence, _)) in found.frames[..at / length].iter().enumerate() {
                prop_assert_eq!(*sequence, n as u64);
            }
        }
    }
}
