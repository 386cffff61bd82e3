//! The objects of a log in a bucket.

use bytes::Bytes;

use crate::FrameId;

/// The first bytes of every frame's object.
const MAGIC: [u8; 4] = *b"STo1";

/// The length of what precedes the frame: magic, CRC32C over the rest, number, identity.
const HEADER: usize = 4 + 4 + 8 + 16;

/// Encodes a frame's object.
pub(crate) fn encode(number: u64, id: FrameId, frame: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(HEADER + frame.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&id.0);
    bytes.extend_from_slice(frame);
    let crc = crc32c::crc32c(&bytes[8..]);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    bytes.into()
}

/// Decodes the object of a frame with this number: its identity and the frame. Returns `None` if the
/// object is damaged or belongs to another number.
pub(crate) fn decode(number: u64, object: &Bytes) -> Option<(FrameId, Bytes)> {
    let header = object.get(..HEADER)?;
    let crc = u32::from_le_bytes(header[4..8].try_into().ok()?);
    let is_valid = header[..4] == MAGIC
        && crc32c::crc32c(&object[8..]) == crc
        && header[8..16] == number.to_le_bytes();
    let id = FrameId(header[16..].try_into().ok()?);
    is_valid.then(|| (id, object.slice(HEADER..)))
}

/// Encodes the object that names the log's base.
pub(crate) fn encode_base(base: u64) -> Bytes {
    format!("{base}\n").into()
}

/// Decodes the object that names the log's base.
pub(crate) fn decode_base(object: &[u8]) -> Option<u64> {
    let base = std::str::from_utf8(object).ok()?.strip_suffix('\n')?.parse().ok()?;
    (encode_base(base) == object).then_some(base)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trip(number: u64, id: [u8; 16], frame: Vec<u8>) {
            let object = encode(number, FrameId(id), &frame);
            prop_assert_eq!(decode(number, &object), Some((FrameId(id), frame.into())));
            prop_assert_eq!(decode(number.wrapping_add(1), &object), None);
            prop_assert_eq!(decode_base(&encode_base(number)), Some(number));
        }

        #[test]
        fn damage_is_found(frame: Vec<u8>, at: prop::sample::Index, bit in 0u8..8) {
            let mut object = encode(7, FrameId([1; 16]), &frame).to_vec();
            let at = at.index(object.len());
            object[at] ^= 1 << bit;
            prop_assert_eq!(decode(7, &object.into()), None);
        }

        #[test]
        fn anything_is_decoded_or_refused(bytes: Vec<u8>) {
            let _ = decode(1, &bytes.clone().into());
            let _ = decode_base(&bytes);
        }
    }
}
