//! Log files.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use fs4::FileExt as _;

use crate::disk::sync_folder;

/// The number of a log file. Files are read in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SegmentId(pub(crate) u64);

impl SegmentId {
    pub(crate) fn path(self, folder: &Path) -> PathBuf {
        folder.join(format!("{:020}.log", self.0))
    }
}

/// Returns the log files in a folder, in order.
pub(crate) fn list_segments(folder: &Path) -> io::Result<Vec<SegmentId>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log"));
        ids.extend(number.and_then(|number| number.parse().ok()).map(SegmentId));
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Reads a log file. Sectors that the disk cannot read are returned as zeros, which are handled
/// like any other damage.
pub(crate) fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    /// The error of a disk that cannot read a sector.
    const EIO: i32 = 5;
    const SECTOR: usize = 4096;
    match fs::read(path) {
        Err(error) if error.raw_os_error() == Some(EIO) => {}
        read => return read,
    }
    let file = File::open(path)?;
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?];
    for (i, sector) in bytes.chunks_mut(SECTOR).enumerate() {
        match file.read_exact_at(sector, (i * SECTOR) as u64) {
            Err(error) if error.raw_os_error() == Some(EIO) => sector.fill(0),
            read => read?,
        }
    }
    Ok(bytes)
}

/// A log file that frames are appended to.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    pub(super) id: SegmentId,
    /// The offset of the next frame.
    pub(super) length: u64,
    /// How many bytes are known to be on disk.
    pub(super) synced: u64,
}

impl Segment {
    /// Creates a file with room for `bytes` bytes.
    pub(super) fn create(folder: &Path, id: SegmentId, bytes: u64) -> io::Result<Self> {
        let path = id.path(folder);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let ready = file.allocate(bytes).and_then(|()| file.sync_all());
        if let Err(error) = ready.and_then(|()| sync_folder(folder)) {
            // A file without frames is useless, and leaving it would hide the reason.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self { file, id, length: 0, synced: 0 })
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
