//! Log files.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use fs4::FileExt as _;

use super::mark::is_mark;
use crate::disk::{EIO, named, open_regular, os_code, read_regular, sync_folder};

/// The number of a log file. Files are read in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u64);

impl SegmentId {
    /// Returns the path of the file in the log's folder.
    pub fn path(self, folder: &Path) -> PathBuf {
        folder.join(format!("{:020}.log", self.0))
    }
}

/// Numbers from this one on are not used, so that every number has a successor.
const END: u64 = 1 << 62;

/// The least space that a file is made smaller for.
const MIN_ROOM: u64 = 1 << 20;

/// The content of the log's folder.
#[derive(Debug, Default)]
pub struct Listed {
    /// The log files, in order.
    pub segments: Vec<SegmentId>,
    /// The highest number that a name has; new files must have higher ones.
    pub highest: u64,
    /// Names that are neither log files nor copies of the mark.
    pub strange: Vec<String>,
}

/// Lists the log's folder.
pub fn list(folder: &Path) -> io::Result<Listed> {
    let mut listed = Listed::default();
    for entry in fs::read_dir(folder).map_err(named(folder))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let number = name.strip_suffix(".log").and_then(|number| number.parse::<u64>().ok());
        let id = number.filter(|&number| number < END).map(SegmentId);
        listed.highest = listed.highest.max(id.map_or(0, |id| id.0));
        // A folder or a pipe can have the name of a log file.
        match id.filter(|id| fs::metadata(id.path(folder)).is_ok_and(|it| it.is_file())) {
            Some(id) => listed.segments.push(id),
            None if is_mark(&name) => {}
            None => listed.strange.push(name),
        }
    }
    listed.segments.sort_unstable();
    listed.strange.sort();
    Ok(listed)
}

/// The content of a log file.
#[derive(Debug, Default)]
pub struct ReadBytes {
    /// The bytes of the file.
    pub bytes: Vec<u8>,
    /// How many sectors the disk could not read. They are zero in `bytes`, which is handled like
    /// any other damage.
    pub unreadable: usize,
}

/// Reads a log file.
pub fn read_bytes(path: &Path) -> io::Result<ReadBytes> {
    const SECTOR: usize = 4096;
    let is_eio = |error: &io::Error| os_code(error) == Some(EIO);
    match read_regular(path) {
        Err(error) if is_eio(&error) => {}
        read => return Ok(ReadBytes { bytes: read?, unreadable: 0 }),
    }
    let file = open_regular(path)?;
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let mut read = ReadBytes { bytes: vec![0; length], unreadable: 0 };
    for (i, sector) in read.bytes.chunks_mut(SECTOR).enumerate() {
        match file.read_exact_at(sector, (i * SECTOR) as u64) {
            Err(error) if is_eio(&error) => {
                sector.fill(0);
                read.unreadable += 1;
            }
            other => other.map_err(named(path))?,
        }
    }
    Ok(read)
}

/// A log file that frames are appended to.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    pub(super) id: SegmentId,
    /// The space that was allocated. Longer files are closed.
    pub(super) room: u64,
    /// The offset of the next frame.
    pub(super) length: u64,
    /// How many bytes are known to be on disk.
    pub(super) synced: u64,
}

impl Segment {
    /// Creates a file with room for `bytes` bytes, or for less if the disk has not enough space.
    pub(super) fn create(folder: &Path, id: SegmentId, bytes: u64) -> io::Result<Self> {
        let path = id.path(folder);
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file.map_err(named(&path))?;
        let ready = allocated(bytes, |bytes| {
            // A failed attempt may have taken the rest of the space.
            file.set_len(0).and_then(|()| file.allocate(bytes))
        });
        let ready = ready.and_then(|room| file.sync_all().map(|()| room));
        match ready.and_then(|room| sync_folder(folder).map(|()| room)) {
            Ok(room) => Ok(Self { file, id, room, length: 0, synced: 0 }),
            Err(error) => {
                // A file without frames is useless, and leaving it would hide the reason.
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }

    /// Appends a frame. It is not durable yet.
    pub(super) fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        self.file.write_all_at(frame, self.length)?;
        self.length += frame.len() as u64;
        Ok(())
    }

    /// Syncs the file: all written frames are durable when this returns.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.synced = self.length;
        Ok(())
    }

    /// Cuts off the frames that may or may not be on disk. If this succeeds, the frames written
    /// since the last sync are certainly not in the file.
    pub(super) fn abandon(self) -> io::Result<()> {
        self.file.set_len(self.synced).and_then(|()| self.file.sync_all()).inspect_err(|error| {
            tracing::warn!(segment = self.id.0, %error, "a failed log file could not be cut");
        })
    }

    /// Closes the file, and frees the space after its last frame.
    pub(super) fn seal(self) {
        if let Err(error) = self.file.set_len(self.length).and_then(|()| self.file.sync_all()) {
            // The zeros after the last frame are ignored by readers.
            tracing::warn!(segment = self.id.0, %error, "a log file could not be cut to its length");
        }
    }
}

/// Allocates `bytes` bytes, or half of it as often as the disk has not enough space for that. Returns how many
/// were allocated.
fn allocated(bytes: u64, mut allocate: impl FnMut(u64) -> io::Result<()>) -> io::Result<u64> {
    let mut room = bytes;
    loop {
        match allocate(room) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull && room / 2 >= MIN_ROOM => {
                room /= 2;
            }
            result => return result.map(|()| room),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: u64, free: u64, expected: Result<u64, io::ErrorKind>) {
        let allocate = |bytes| match bytes {
            bytes if bytes > free => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        };
        assert_eq!(allocated(bytes, allocate).map_err(|error| error.kind()), expected);
    }

    #[test]
    fn a_file_takes_less_space_on_a_nearly_full_disk() {
        check(64 << 20, 100 << 20, Ok(64 << 20));
        check(64 << 20, 40 << 20, Ok(32 << 20));
        check(64 << 20, MIN_ROOM, Ok(MIN_ROOM));
        check(64 << 20, MIN_ROOM - 1, Err(io::ErrorKind::StorageFull));
        check(1, 1, Ok(1));
        check(1, 0, Err(io::ErrorKind::StorageFull));
        let denied = allocated(64 << 20, |_| Err(io::ErrorKind::PermissionDenied.into()));
        assert_eq!(denied.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
