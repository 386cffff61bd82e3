//! The number of changes that a catalog has had, recorded in a file beside it.
//!
//! SQLite drops a write-ahead log from its first damaged byte on, without an error. If the catalog
//! contains fewer changes than its record says, some have been lost.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::hex;

/// Number of SHA-256 digits that follow the number.
const CHECK_DIGITS: usize = 16;

/// The record beside a catalog.
#[derive(Debug)]
pub(super) struct Record {
    file: File,
}

impl Record {
    /// Returns the path of a catalog's record.
    pub(super) fn path(catalog: &Path) -> PathBuf {
        catalog.with_extension("generation")
    }

    /// Opens the record of a catalog, and returns the recorded number: `None` if the record is new
    /// or damaged.
    pub(super) fn open(catalog: &Path) -> io::Result<(Self, Option<u64>)> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(Self::path(catalog))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let generation = parse(&text);
        if generation.is_none() && !text.is_empty() {
            tracing::warn!("the record of the catalog's changes is damaged and will be rewritten");
        }
        Ok((Self { file }, generation))
    }

    /// Writes the number of changes. Called after each commit, so the record is never ahead of the
    /// catalog. Not synced, since a record that is behind is harmless.
    pub(super) fn write(&mut self, generation: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(format(generation).as_bytes())
    }

    /// Syncs the record to disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// The result always has the same length.
fn format(generation: u64) -> String {
    let number = format!("{generation:020}");
    let check = hex(&Sha256::digest(number.as_bytes()));
    format!("{number} {}\n", &check[..CHECK_DIGITS])
}

fn parse(text: &[u8]) -> Option<u64> {
    let number = std::str::from_utf8(text.get(..20)?).ok()?.parse().ok()?;
    (format(number).as_bytes() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip_and_damage_is_detected() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = folder.path().join("catalog.db");
        let (mut record, read) = Record::open(&catalog).unwrap();
        assert_eq!(read, None);
        for generation in [0, 9, 10, u64::MAX, 7] {
            record.write(generation).unwrap();
            assert_eq!(Record::open(&catalog).unwrap().1, Some(generation));
        }
        let path = Record::path(&catalog);
        let text = std::fs::read(&path).unwrap();
        for bit in 0..text.len() * 8 {
            let mut damaged = text.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse(&damaged), None, "{bit}");
        }
        for end in 0..text.len() {
            assert_eq!(parse(&text[..end]), None);
        }
    }
}
