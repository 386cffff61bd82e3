//! Hexadecimal digits.

use sha2::{Digest, Sha256};

/// Returns `bytes` random bytes, at most 30, as hexadecimal digits.
pub fn random_hex(bytes: usize) -> String {
    // Each UUID has 122 random bits from the system's generator.
    let mut sha = Sha256::new();
    sha.update(uuid::Uuid::new_v4().as_bytes());
    sha.update(uuid::Uuid::new_v4().as_bytes());
    hex(&sha.finalize()[..bytes.min(30)])
}

/// Returns bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
