//! A segment that is being written.

use std::path::PathBuf;
use std::sync::Arc;

use super::disk::DiskFile;

/// Minimum distance between marks.
const MARK_BYTES: u64 = 256 << 10;

/// A file of frames with its metadata.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) first: u64,
    pub(super) end: u64,
    pub(super) used: u64,
    pub(super) capacity: u64,
    /// An index of some frames: line number and position.
    pub(super) marks: Vec<(u64, u64)>,
    pub(super) is_dirty: bool,
}

impl Segment {
    /// Records that frames of these lines were written.
    pub(super) fn wrote(&mut self, first: u64, end: u64, bytes: u64) {
        let last = self.marks.last().map_or(0, |&(_, offset)| offset);
        if self.marks.is_empty() || self.used >= last + MARK_BYTES {
            self.marks.push((first, self.used));
        }
        self.used += bytes;
        self.end = end;
        self.is_dirty = true;
    }
}
