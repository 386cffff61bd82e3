//! The files of the log.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use fs4::FileExt as _;

use crate::disk::sync_folder;

/// The number of a log file: they are read in order.
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

/// Reads a log file. Sectors that the disk cannot read become zeros, like any other damage.
pub(crate) fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    /// What a disk returns for a sector that it cannot read.
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
    /// Where the next frame begins.
    pub(super) length: u64,
    /// How much of it is known to be on disk.
    pub(super) synced: u64,
}

impl Segment {
    /// Makes a file with room for `bytes` bytes.
    pub(super) fn create(folder: &Path, id: SegmentId, bytes: u64) -> io::Result<Self> {
        let path = id.path(folder);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let ready = file.allocate(bytes).and_then(|()| file.sync_all());
        if let Err(error) = ready.and_then(|()| sync_folder(folder)) {
            // A file without frames is of no use; leaving it would only hide why.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self { file, id, length: 0, synced: 0 })
    }

    /// Writes a frame behind the others. It is not durable yet.
    pub(super) fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        self.file.write_all_at(frame, self.length)?;
        self.length += frame.len() as u64;
        Ok(())
    }

    /// Returns once all that was written is on disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.synced = self.length;
        Ok(())
    }

    /// Cuts off what may or may not be on disk. If this succeeds, the frames written since the last
    /// sync are certainly not there.
    pub(super) fn abandon(self) -> io::Result<()> {
        self.file.set_len(self.synced).and_then(|()| self.file.sync_all()).inspect_err(|error| {
            tracing::warn!(segment = self.id.0, %error, "a failed log file could not be cut");
        })
    }

    /// Closes the file, and gives back the room behind its last frame.
    pub(super) fn seal(self) {
        if let Err(error) = self.file.set_len(self.length).and_then(|()| self.file.sync_all()) {
            // The zeros behind the last frame do no harm.
            tracing::warn!(segment = self.id.0, %error, "a log file could not be cut to its length");
        }
    }
}
