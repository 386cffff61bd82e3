//! Integers of variable length, and reading from bytes.

use super::BinaryError;

/// The number of bytes of the longest variable-length integer.
const MAX_BYTES: usize = 10;

/// Writes an integer: seven bits a byte, the lowest first; the highest bit says that more follow.
pub(super) fn write_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Reads an integer from the start of bytes, and returns its length. `Ok(None)` if the bytes end
/// before it does.
pub(super) fn read_varint(bytes: &[u8]) -> Result<Option<(u64, usize)>, BinaryError> {
    let mut n = 0;
    for (i, &byte) in bytes.iter().take(MAX_BYTES).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shifted = bits << (7 * i);
        if shifted >> (7 * i) != bits {
            return Err(BinaryError::Unknown { number: byte });
        }
        n |= shifted;
        if byte < 0x80 {
            return Ok(Some((n, i + 1)));
        }
    }
    match bytes.get(MAX_BYTES - 1) {
        Some(&number) => Err(BinaryError::Unknown { number }),
        None => Ok(None),
    }
}

/// Writes a text after its length.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    write_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Bytes that are read from the front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Returns the number of bytes that are left.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], BinaryError> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(BinaryError::Incomplete)?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], BinaryError> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(BinaryError::Incomplete)?;
        self.bytes = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, BinaryError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn varint(&mut self) -> Result<u64, BinaryError> {
        let (n, length) = read_varint(self.bytes)?.ok_or(BinaryError::Incomplete)?;
        self.bytes = &self.bytes[length..];
        Ok(n)
    }

    /// Reads the number of items of which each takes at least one byte.
    pub(super) fn count(&mut self) -> Result<usize, BinaryError> {
        let count = self.varint()?;
        let count = usize::try_from(count).map_err(|_| BinaryError::Incomplete)?;
        if count > self.len() {
            return Err(BinaryError::Incomplete);
        }
        Ok(count)
    }

    pub(super) fn slice(&mut self) -> Result<&'a [u8], BinaryError> {
        let length = self.count()?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, BinaryError> {
        std::str::from_utf8(self.slice()?).map_err(|_| BinaryError::Utf8)
    }

    pub(super) fn end(&self) -> Result<(), BinaryError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(BinaryError::Extra) }
    }
}
