//! Frames: length, checksum and sequence number in front of a payload.

use bytes::Bytes;

use crate::seeded_bug::{Bug, is_seeded};

/// The first bytes of every frame; a preallocated file is zero after its last frame.
pub(super) const MAGIC: [u8; 4] = *b"STf1";

/// The length of the header: magic, length of the payload, CRC32C over sequence number and payload,
/// sequence number.
pub const HEADER: usize = 4 + 4 + 4 + 8;

/// The longest payload that a reader accepts. Longer than any request can be.
pub(super) const MAX_PAYLOAD: usize = 256 << 20;

/// Fills in the header of a frame whose first [`HEADER`] bytes are reserved for it.
pub fn seal(frame: &mut [u8], sequence: u64) {
    let length = (frame.len() - HEADER) as u32;
    frame[..4].copy_from_slice(&MAGIC);
    frame[4..8].copy_from_slice(&length.to_le_bytes());
    frame[12..20].copy_from_slice(&sequence.to_le_bytes());
    let crc = crc32c::crc32c(&frame[12..]);
    frame[8..12].copy_from_slice(&crc.to_le_bytes());
}

/// Reads the frame at the start of `bytes`: its sequence number, its payload and its whole length,
/// if its checksum is right.
pub fn open(bytes: &Bytes) -> Option<(u64, Bytes, usize)> {
    let header = bytes.get(..HEADER)?;
    if header[..4] != MAGIC {
        return None;
    }
    let length = u32::from_le_bytes(header[4..8].try_into().ok()?) as usize;
    if length > MAX_PAYLOAD || bytes.len() < HEADER + length {
        return None;
    }
    let crc = u32::from_le_bytes(header[8..12].try_into().ok()?);
    if crc32c::crc32c(&bytes[12..HEADER + length]) != crc && !is_seeded(Bug::SkippedCrc) {
        return None;
    }
    let sequence = u64::from_le_bytes(header[12..20].try_into().ok()?);
    Some((sequence, bytes.slice(HEADER..HEADER + length), HEADER + length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A sealed frame opens to the same payload, whatever follows it.
        #[test]
        fn round_trip(payload: Vec<u8>, sequence: u64, behind in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut bytes = [&[0; HEADER], &payload[..]].concat();
            seal(&mut bytes, sequence);
            let whole = bytes.len();
            bytes.extend(behind);
            prop_assert_eq!(open(&bytes.into()), Some((sequence, payload.into(), whole)));
        }

        /// A flipped bit is detected.
        #[test]
        fn damage_is_found(payload: Vec<u8>, sequence: u64, at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = [&[0; HEADER], &payload[..]].concat();
            seal(&mut bytes, sequence);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(open(&bytes.into()), None);
        }
    }
}
