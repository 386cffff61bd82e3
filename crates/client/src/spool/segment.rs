//! A segment that is being written.

use std::path::PathBuf;
use std::sync::Arc;

use super::disk::DiskFile;

/// Marks are at least as far apart.
const MARK_BYTES: u64 = 256 << 10;

/// A file of frames, and what is known of it.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) first: u64,
    pub(super) end: u64,
    pub(super) used: u64,
    pub(super) capacity: u64,
    /// Where some of the frames are: a line's number and its place.
    pub(super) marks: Vec<(u64, u64)>,
    pub(super) is_dirty: bool,
}

impl Segment {
    /// Notes that frames of these lines were written.
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
