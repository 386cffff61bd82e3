//! A small file that is kept as two copies with checksums, written alternately.

use std::io;
use std::path::PathBuf;

use crate::place::{Folder, is_unavailable};

/// The first word of every copy.
const MAGIC: &str = "streamtable-1";

/// A small file that is kept as two copies, `NAME-0` and `NAME-1`.
///
/// Each write replaces the older copy, so that one valid copy remains if the other is damaged.
#[derive(Clone, Debug)]
pub(crate) struct Copies {
    folder: Folder,
    name: &'static str,
}

/// The content of the newest valid copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    /// How often the file was written. The next write must pass a larger number.
    pub(crate) count: u64,
    pub(crate) content: Vec<u8>,
}

/// The result of reading both copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// `None` if no copy is valid.
    pub(crate) newest: Option<Newest>,
    /// Expected copies that are missing, damaged or too old.
    pub(crate) damaged: Vec<PathBuf>,
}

impl Copies {
    pub(crate) fn new(folder: impl Into<Folder>, name: &'static str) -> Self {
        Self { folder: folder.into(), name }
    }

    fn file(&self, slot: u64) -> String {
        format!("{}-{slot}", self.name)
    }

    fn path(&self, slot: u64) -> PathBuf {
        self.folder.path().join(self.file(slot))
    }

    /// Like [`try_read`](Self::try_read), for copies on a disk.
    pub(crate) fn read(&self) -> Found {
        self.try_read().unwrap_or_default()
    }

    /// Reads both copies. A copy that a disk cannot read counts as damaged. Fails if a bucket could
    /// not be asked.
    pub(crate) fn try_read(&self) -> io::Result<Found> {
        let read = [0, 1].map(|slot| self.folder.read(&self.file(slot)));
        let read = match read {
            [Err(error), _] | [_, Err(error)] if is_unavailable(&error) => return Err(error),
            read => read,
        };
        let mut slot = 0;
        let slots = read.map(|bytes| {
            let path = self.path(slot);
            let is_missing = matches!(&bytes, Err(e) if e.kind() == io::ErrorKind::NotFound);
            let valid =
                bytes.ok().and_then(|bytes| decode(&bytes)).filter(|it| it.count % 2 == slot);
            slot += 1;
            (path, is_missing, valid)
        });
        let newest =
            slots.iter().filter_map(|(_, _, valid)| valid.clone()).max_by_key(|it| it.count);
        let count = newest.as_ref().map_or(0, |it| it.count);
        let is_damaged = |(path, is_missing, valid): (PathBuf, bool, Option<Newest>)| {
            let is_well = match valid {
                Some(valid) => valid.count + 1 >= count,
                // After the very first write the other copy does not exist.
                None => is_missing && count <= 1,
            };
            (!is_well).then_some(path)
        };
        Ok(Found { newest, damaged: slots.into_iter().filter_map(is_damaged).collect() })
    }

    /// Writes the content durably, replacing the older copy.
    ///
    /// `count` must be one more than that of the newest copy, or 1 for the first write.
    pub(crate) fn write(&self, count: u64, content: &[u8]) -> io::Result<()> {
        self.folder.replace(&self.file(count % 2), encode(count, content))
    }
}

fn encode(count: u64, content: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{MAGIC} {count} {:08x}\n", sum(count, content)).into_bytes();
    bytes.extend_from_slice(content);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Newest> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let mut words = std::str::from_utf8(&bytes[..end]).ok()?.split(' ');
    let (magic, count, crc) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
    let content = &bytes[end + 1..];
    let is_valid = magic == MAGIC && crc == format!("{:08x}", sum(count, content));
    is_valid.then(|| Newest { count, content: content.to_vec() })
}

fn sum(count: u64, content: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&count.to_le_bytes()), content)
}

/// Returns whether a folder has a copy of this name, valid or not.
pub(crate) fn has_copy(folder: &Folder, name: &'static str) -> bool {
    let copies = Copies::new(folder.clone(), name);
    (0..2).any(|slot| folder.has(&copies.file(slot)).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_newest_valid_copy_counts() {
        let folder = tempfile::tempdir().unwrap();
        let copies = Copies::new(folder.path().join("deep"), "state");
        assert_eq!(copies.read(), Found::default());
        for count in 1..5 {
            copies.write(count, format!("content {count}").as_bytes()).unwrap();
            let found = copies.read();
            assert_eq!(found.damaged, Vec::<PathBuf>::new());
            let content = format!("content {count}").into_bytes();
            assert_eq!(found.newest, Some(Newest { count, content }));
        }
        let third = fs::read(copies.path(1)).unwrap();
        copies.write(5, b"content 5").unwrap();
        // Replace the newest copy by an older one, then remove both.
        fs::write(copies.path(1), third).unwrap();
        assert_eq!(copies.read().newest.unwrap().count, 4);
        fs::remove_file(copies.path(1)).unwrap();
        assert_eq!(copies.read().newest.unwrap().count, 4);
        assert_eq!(copies.read().damaged, [copies.path(1)]);
        fs::write(copies.path(0), "").unwrap();
        assert_eq!(copies.read().newest, None);
        assert!(has_copy(&copies.folder, "state"));
    }

    #[test]
    fn a_copy_in_the_wrong_place_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let copies = Copies::new(folder.path(), "state");
        copies.write(1, b"1").unwrap();
        copies.write(2, b"2").unwrap();
        fs::copy(copies.path(0), copies.path(1)).unwrap();
        let found = copies.read();
        assert_eq!((found.newest.unwrap().count, found.damaged), (2, vec![copies.path(1)]));
    }

    proptest! {
        /// Every flipped bit is detected.
        #[test]
        fn a_flipped_bit_is_found(content: Vec<u8>, count: u64, at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = encode(count, &content);
            prop_assert_eq!(decode(&bytes), Some(Newest { count, content }));
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(decode(&bytes), None);
        }
    }
}
