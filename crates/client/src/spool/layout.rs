//! The layout of the spool's folder.
//!
//! ```text
//! <spool>/<server>/<entity>/<project>/<table>/
//!     <writer>.lock       held by the process that writes or delivers
//!     <writer>/           00000000.seg …, acked, media/
//!     rejected.jsonl      rows that the server rejected permanently
//!     set-aside/          damaged data
//! ```

use std::path::{Path, PathBuf};

use streamtable_schema::TablePath;

pub(crate) const REJECTED: &str = "rejected.jsonl";
pub(crate) const SET_ASIDE: &str = "set-aside";
pub(crate) const ACKED: &str = "acked";
pub(crate) const MEDIA: &str = "media";
const LOCK_SUFFIX: &str = ".lock";
const SEGMENT_SUFFIX: &str = ".seg";

/// Returns the folder of a table's spools.
pub(crate) fn table_dir(root: &Path, server: &str, table: &TablePath) -> PathBuf {
    let parts = [server, table.entity(), table.project(), table.table()];
    parts.iter().fold(root.to_owned(), |path, part| path.join(folder_name(part)))
}

/// Returns the lock file of a writer.
pub(crate) fn lock(table_dir: &Path, writer: &str) -> PathBuf {
    table_dir.join(format!("{writer}{LOCK_SUFFIX}"))
}

/// Returns the writer of a lock file.
pub(crate) fn writer_of_lock(name: &str) -> Option<&str> {
    name.strip_suffix(LOCK_SUFFIX)
}

pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:08}{SEGMENT_SUFFIX}")
}

/// Returns the number of a segment file.
pub(crate) fn segment_number(name: &str) -> Option<u64> {
    name.strip_suffix(SEGMENT_SUFFIX)?.parse().ok()
}

/// Returns the names in a table's folder that may be writers' folders.
pub(crate) fn writers(names: &[String]) -> impl Iterator<Item = &str> {
    let is_writer =
        |name: &&str| !name.ends_with(LOCK_SUFFIX) && ![REJECTED, SET_ASIDE].contains(name);
    names.iter().map(String::as_str).filter(is_writer)
}

/// Converts any text to a name that every file system accepts: unusual characters are written as
/// `%` and two hex digits, and long names are truncated and get a checksum.
///
/// Two texts may get the same name, so readers must check the header of a spool.
pub(crate) fn folder_name(text: &str) -> String {
    const LONGEST: usize = 200;

    let mut name = String::new();
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte.into()),
            b'.' if i > 0 => name.push('.'),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    if name.len() > LONGEST {
        name.truncate(LONGEST);
        name.push_str(&format!("~{:08x}", crc32c::crc32c(text.as_bytes())));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(folder_name(text), expected);
    }

    #[test]
    fn names_are_escaped() {
        check("requests", "requests");
        check("http://127.0.0.1:8080", "http%3A%2F%2F127.0.0.1%3A8080");
        check("..", "%2E.");
        check("my pröject", "my%20pr%C3%B6ject");
        check("media/images/a_1.png", "media%2Fimages%2Fa_1.png");
    }

    #[test]
    fn long_names_are_truncated_and_stay_distinct() {
        let (a, b) = ("ü".repeat(128), "ü".repeat(127) + "u");
        assert!(folder_name(&a).len() < 255);
        assert_ne!(folder_name(&a), folder_name(&b));
    }
}
