//! Names of the files of media cells.

use sha2::{Digest, Sha256};
use streamtable_schema::{MediaKind, StoredFile};

use crate::cell::media_folder;

/// Returns the path of a media file among the files of its table. The name is derived from the
/// content, so an image that is logged twice is stored once.
///
/// ```
/// use streamtable_schema::MediaKind;
///
/// let file = streamtable_wire::media_file(MediaKind::Markdown, "md", b"**hot**");
/// assert!(file.path.starts_with("media/markdown/"));
/// assert_eq!(file.size, Some(7));
/// ```
pub fn media_file(kind: MediaKind, format: &str, bytes: &[u8]) -> StoredFile {
    let sha256 = hex(&Sha256::digest(bytes));
    StoredFile {
        path: format!("{}/{sha256}.{format}", media_folder(kind)),
        sha256: Some(sha256),
        size: Some(bytes.len() as u64),
    }
}

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
