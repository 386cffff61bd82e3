//! A small file that is kept as two copies with checksums, written alternately.

use std::io;
use std::path::PathBuf;

use crate::disk::{create_dir_all_synced, is_absent, read_regular, replace};

/// The first word of every copy.
const MAGIC: &str = "streamtable-1";

/// A small file that is kept as two copies, `NAME-0` and `NAME-1`.
///
/// Each write replaces the older copy, so that one valid copy remains if the other is damaged.
#[derive(Clone, Debug)]
pub struct Copies<F = PathBuf> {
    folder: F,
    name: &'static str,
}

/// A folder that can have copies: on a disk, or in an object store.
pub trait CopyFolder {
    /// Reads a file. An error says nothing about the file: the folder could not be asked.
    fn read_copy(&self, name: &str) -> io::Result<ReadCopy>;

    /// Replaces a file durably, and creates the folder if it is missing.
    fn replace_copy(&self, name: &str, content: Vec<u8>) -> io::Result<()>;

    /// Returns the path of a file, for messages.
    fn path_of_copy(&self, name: &str) -> PathBuf;
}

/// The result of reading a name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadCopy {
    /// A file with these bytes.
    Bytes(Vec<u8>),
    /// Nothing.
    Missing,
    /// Something that cannot be read.
    Unreadable,
}

impl ReadCopy {
    /// Converts the result of reading from a disk, whose errors say something about the file.
    pub fn of_disk(read: io::Result<Vec<u8>>) -> Self {
        match read {
            Ok(bytes) => Self::Bytes(bytes),
            Err(error) if is_absent(&error) => Self::Missing,
            Err(_) => Self::Unreadable,
        }
    }
}

impl CopyFolder for PathBuf {
    fn read_copy(&self, name: &str) -> io::Result<ReadCopy> {
        Ok(ReadCopy::of_disk(read_regular(&self.join(name))))
    }

    fn replace_copy(&self, name: &str, content: Vec<u8>) -> io::Result<()> {
        create_dir_all_synced(self)?;
        replace(&self.join(name), &content)
    }

    fn path_of_copy(&self, name: &str) -> PathBuf {
        self.join(name)
    }
}

/// The content of the newest valid copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// How often the file was written. The next write must pass a larger number.
    pub count: u64,
    /// The bytes that were written.
    pub content: Vec<u8>,
}

/// The result of reading both copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// `None` if no copy is valid.
    pub newest: Option<Newest>,
    /// Whether there is a copy, valid or not.
    pub exists: bool,
    /// Expected copies that are missing, damaged or too old.
    pub damaged: Vec<PathBuf>,
}

impl<F: CopyFolder> Copies<F> {
    /// Returns the file of a folder. Nothing is read or written yet.
    pub fn new(folder: impl Into<F>, name: &'static str) -> Self {
        Self { folder: folder.into(), name }
    }

    fn file(&self, slot: u64) -> String {
        format!("{}-{slot}", self.name)
    }

    fn path(&self, slot: u64) -> PathBuf {
        self.folder.path_of_copy(&self.file(slot))
    }

    /// Reads both copies. A copy that cannot be read counts as damaged. Fails if the folder could
    /// not be asked, which does not happen on a disk.
    pub fn read(&self) -> io::Result<Found> {
        let read = |slot| Ok::<_, io::Error>((slot, self.folder.read_copy(&self.file(slot))?));
        let slots = [read(0)?, read(1)?].map(|(slot, read)| {
            let is_missing = read == ReadCopy::Missing;
            let valid = match read {
                ReadCopy::Bytes(bytes) => decode(&bytes).filter(|it| it.count % 2 == slot),
                ReadCopy::Missing | ReadCopy::Unreadable => None,
            };
            (self.path(slot), is_missing, valid)
        });
        let exists = slots.iter().any(|(_, is_missing, _)| !is_missing);
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
        let damaged = slots.into_iter().filter_map(is_damaged).collect();
        Ok(Found { newest, exists, damaged })
    }

    /// Writes the content durably, replacing the older copy.
    ///
    /// `count` must be one more than that of the newest copy, or 1 for the first write.
    pub fn write(&self, count: u64, content: &[u8]) -> io::Result<()> {
        self.folder.replace_copy(&self.file(count % 2), encode(count, content))
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

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_newest_valid_copy_counts() {
        let folder = tempfile::tempdir().unwrap();
        let copies: Copies = Copies::new(folder.path().join("deep"), "state");
        assert_eq!(copies.read().unwrap(), Found::default());
        for count in 1..5 {
            copies.write(count, format!("content {count}").as_bytes()).unwrap();
            let found = copies.read().unwrap();
            assert_eq!(found.damaged, Vec::<PathBuf>::new());
            let content = format!("content {count}").into_bytes();
            assert_eq!(found.newest, Some(Newest { count, content }));
        }
        let third = fs::read(copies.path(1)).unwrap();
        copies.write(5, b"content 5").unwrap();
        // Replace the newest copy by an older one, then remove both.
        fs::write(copies.path(1), third).unwrap();
        assert_eq!(copies.read().unwrap().newest.unwrap().count, 4);
        fs::remove_file(copies.path(1)).unwrap();
        assert_eq!(copies.read().unwrap().newest.unwrap().count, 4);
        assert_eq!(copies.read().unwrap().damaged, [copies.path(1)]);
        fs::write(copies.path(0), "").unwrap();
        assert_eq!(copies.read().unwrap().newest, None);
        assert!(copies.read().unwrap().exists);
    }

    #[test]
    fn a_copy_in_the_wrong_place_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let copies: Copies = Copies::new(folder.path(), "state");
        copies.write(1, b"1").unwrap();
        copies.write(2, b"2").unwrap();
        fs::copy(copies.path(0), copies.path(1)).unwrap();
        let found = copies.read().unwrap();
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
