//! The spool of media files, next to the rows that refer to them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::disk::{Disk, How, create_dirs, gone, list_or_none};
use super::frame::u32_at;
use super::layout;
use crate::MediaFile;

/// Prefix of temporary files, which are not valid yet.
const PART: &str = ".part-";

/// A file's content is followed by its path, and then by both lengths and a checksum.
const FOOTER_BYTES: usize = 16;

/// Maximum size of a media file. A row carries at most 1 GiB.
const MAX_FILE_BYTES: u64 = (1 << 30) + (1 << 16);

/// The media files of a writer on disk. No lock is needed: file names are derived from the content.
#[derive(Debug)]
pub(crate) struct Pictures {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Whether a file must survive a power failure before a row may refer to it.
    sync: bool,
    parts: AtomicU64,
    process: u32,
}

impl Pictures {
    pub(crate) fn new(disk: Arc<dyn Disk>, writer_dir: &Path, sync: bool) -> Self {
        let (dir, parts) = (writer_dir.join(layout::MEDIA), AtomicU64::new(0));
        Self { process: disk.process(), disk, dir, sync, parts }
    }

    /// Writes a file atomically.
    pub(crate) fn put(&self, file: &MediaFile) -> io::Result<()> {
        // A forked process would use the same temporary names.
        if self.disk.process() != self.process {
            return Err(io::Error::other("this process is a fork; open the table again"));
        }
        create_dirs(&*self.disk, &self.dir, self.sync)?;
        let number = self.parts.fetch_add(1, Ordering::Relaxed);
        let part = self.dir.join(format!("{PART}{number}"));
        let result = self.write(&part, file);
        let result = result.and_then(|()| self.disk.rename(&part, &self.path_of(&file.path)));
        if result.is_err() {
            let _ = self.disk.remove_file(&part);
            return result;
        }
        if self.sync { self.disk.sync_dir(&self.dir) } else { Ok(()) }
    }

    fn write(&self, part: &Path, file: &MediaFile) -> io::Result<()> {
        let to = self.disk.open(part, How::Write)?;
        let mut footer = file.path.as_bytes().to_vec();
        footer.extend_from_slice(&(file.bytes.len() as u64).to_le_bytes());
        footer.extend_from_slice(&(file.path.len() as u32).to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&file.bytes), &footer);
        footer.extend_from_slice(&crc.to_le_bytes());
        to.write_all_at(&file.bytes, 0)?;
        to.write_all_at(&footer, file.bytes.len() as u64)?;
        if self.sync { to.sync() } else { Ok(()) }
    }

    /// Removes a file that is settled.
    pub(crate) fn remove(&self, path: &str) -> io::Result<()> {
        gone(self.disk.remove_file(&self.path_of(path)))
    }

    /// Returns the names of the complete files.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = list_or_none(&*self.disk, &self.dir)?;
        names.retain(|name| !name.starts_with(PART));
        Ok(names)
    }

    /// Reads a file. Returns `None` if it is damaged.
    pub(crate) fn read(&self, name: &str) -> io::Result<Option<MediaFile>> {
        let file = self.disk.open(&self.dir.join(name), How::Read)?;
        Ok(parse(file.read_all(MAX_FILE_BYTES)?))
    }

    /// Returns the path of a file.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Removes all files, including temporary ones.
    pub(crate) fn clear(&self) -> io::Result<()> {
        for name in list_or_none(&*self.disk, &self.dir)? {
            gone(self.disk.remove_file(&self.dir.join(name)))?;
        }
        gone(self.disk.remove_dir(&self.dir))
    }

    fn path_of(&self, path: &str) -> PathBuf {
        self.dir.join(layout::folder_name(path))
    }
}

fn parse(mut bytes: Vec<u8>) -> Option<MediaFile> {
    let footer = bytes.len().checked_sub(FOOTER_BYTES)?;
    let path_length = u32_at(&bytes, footer + 8) as usize;
    let length = footer.checked_sub(path_length)?;
    let said = u64::from(u32_at(&bytes, footer)) | u64::from(u32_at(&bytes, footer + 4)) << 32;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..length]), &bytes[length..footer + 12]);
    if said != length as u64 || crc != u32_at(&bytes, footer + 12) {
        return None;
    }
    let path = std::str::from_utf8(&bytes[length..footer]).ok()?.into();
    bytes.truncate(length);
    Some(MediaFile { path, bytes: Bytes::from(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::disk::Machine;

    #[test]
    fn files_round_trip_and_damage_is_detected() {
        let dir = tempfile::tempdir().unwrap();
        let pictures = Pictures::new(Arc::new(Machine), dir.path(), true);
        assert_eq!(pictures.names().unwrap(), [""; 0]);
        let path = "media/images/a.png";
        let file = MediaFile { path: path.into(), bytes: "picture".into() };
        pictures.put(&file).unwrap();
        pictures.put(&file).unwrap();
        let names = pictures.names().unwrap();
        assert_eq!(names, ["media%2Fimages%2Fa.png"]);
        let read = pictures.read(&names[0]).unwrap().unwrap();
        assert_eq!((&*read.path, &*read.bytes), (path, &b"picture"[..]));

        let whole = std::fs::read(pictures.file(&names[0])).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert!(parse(bytes).is_none(), "{at}");
            assert!(parse(whole[..at].to_vec()).is_none(), "{at}");
        }
        pictures.remove(path).unwrap();
        pictures.remove(path).unwrap();
        pictures.clear().unwrap();
        assert!(!dir.path().join(layout::MEDIA).exists());
    }
}
