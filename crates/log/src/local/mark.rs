//! The extent of the log, recorded next to its files so that a missing file is noticed.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::SegmentId;
use crate::copies::Copies;

/// The name of the mark's copies.
const NAME: &str = "mark";

/// Returns whether a file is a copy of the mark, or one that was not renamed yet.
pub(super) fn is_mark(name: &str) -> bool {
    ["mark-0", "mark-1", "mark-0.tmp", "mark-1.tmp"].contains(&name)
}

/// The first frame of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The number of the file.
    pub segment: u64,
    /// The sequence number of its first frame.
    pub frame: u64,
}

/// The extent of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The oldest file that is needed. Frames from this file on must exist.
    pub first: Option<Start>,
    /// The newest file. Its first frame was acked.
    pub last: Option<Start>,
    /// The length of the newest file while frames are written to it; 0 once it is closed.
    pub room: u64,
    /// The number of the next frame, known while no file is open.
    pub next: Option<u64>,
}

impl Mark {
    /// Returns the number before which all frames of the log were acked, as far as the mark says.
    pub fn acked(&self) -> u64 {
        let last = self.last.map_or(0, |last| last.frame + 1);
        let first = self.first.map_or(0, |first| first.frame);
        self.next.unwrap_or(0).max(last).max(first)
    }
}

/// Keeps the mark on disk up to date.
#[derive(Debug)]
pub struct Marker {
    copies: Copies,
    count: u64,
    mark: Mark,
    /// The first frame of each file.
    starts: BTreeMap<u64, u64>,
    /// The number of the next frame when a file was closed last.
    next: u64,
}

impl Marker {
    /// Returns the valid mark in the log's folder, if there is one, and the paths of damaged
    /// copies.
    pub fn read(folder: &Path) -> io::Result<(Self, Option<Mark>, Vec<std::path::PathBuf>)> {
        let copies = Copies::new(folder, NAME);
        let found = copies.read()?;
        let count = found.newest.as_ref().map_or(0, |it| it.count);
        let mark = found.newest.and_then(|it| serde_json::from_slice::<Mark>(&it.content).ok());
        let marker = Self {
            copies,
            count,
            mark: mark.unwrap_or_default(),
            starts: BTreeMap::new(),
            next: mark.map_or(0, |mark| mark.acked()),
        };
        Ok((marker, mark, found.damaged))
    }

    /// Records the result of recovery: the first frame of each file, and the number of the next
    /// frame.
    pub fn recovered(&mut self, starts: BTreeMap<u64, u64>, next: u64) {
        self.starts = starts;
        self.next = next;
    }

    /// Returns the first frame of each file.
    pub(super) fn starts(&self) -> &BTreeMap<u64, u64> {
        &self.starts
    }

    /// Returns the oldest file that is needed, and its first frame.
    pub(super) fn first(&self) -> Option<Start> {
        self.mark.first
    }

    /// Records that a file's first frame is durable.
    pub(super) fn opened(&mut self, segment: SegmentId, frame: u64, room: u64) -> io::Result<()> {
        let start = Start { segment: segment.0, frame };
        self.starts.insert(segment.0, frame);
        self.mark.first.get_or_insert(start);
        self.mark.last = Some(start);
        self.mark.room = room;
        self.mark.next = None;
        self.write()
    }

    /// Records that the newest file is complete, before it is cut to its length.
    pub(super) fn closed(&mut self, next: u64) -> io::Result<()> {
        self.next = next;
        self.mark.room = 0;
        self.mark.next = Some(next);
        self.write()
    }

    /// Records that files before `before` are no longer needed, before they are removed.
    pub(super) fn trimmed(&mut self, before: SegmentId) -> io::Result<()> {
        self.starts.retain(|&segment, _| segment >= before.0);
        let frame = self.starts.values().next().copied().unwrap_or(self.next);
        self.mark.first = Some(Start { segment: before.0, frame });
        self.write()
    }

    fn write(&mut self) -> io::Result<()> {
        let content = serde_json::to_vec(&self.mark).map_err(io::Error::other)?;
        self.copies.write(self.count + 1, &content)?;
        self.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_follows_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let read = || Marker::read(folder.path()).unwrap();
        let (mut marker, mark, damaged) = read();
        assert_eq!((mark, damaged.len()), (None, 0));
        marker.opened(SegmentId(1), 1, 100).unwrap();
        assert_eq!(read().1.unwrap().acked(), 2);
        marker.closed(7).unwrap();
        marker.opened(SegmentId(2), 7, 100).unwrap();
        let mark = read().1.unwrap();
        assert_eq!((mark.acked(), mark.room, mark.next), (8, 100, None));
        marker.trimmed(SegmentId(2)).unwrap();
        assert_eq!(read().1.unwrap().first, Some(Start { segment: 2, frame: 7 }));
        marker.closed(9).unwrap();
        marker.trimmed(SegmentId(3)).unwrap();
        let mark = read().1.unwrap();
        assert_eq!(mark.first, Some(Start { segment: 3, frame: 9 }));
        assert_eq!((mark.acked(), mark.room), (9, 0));
    }
}
