//! Background maintenance of a journal, done without holding its lock.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::disk::{Disk, DiskFile, gone};

/// The next maintenance step of a journal.
#[derive(Debug)]
pub(crate) enum Maintenance {
    /// Nothing to do, or nothing before this time.
    Wait(Option<Instant>),
    Now(Task),
}

/// Work to do without the lock. Its result goes to [`SpoolJournal::finish_task`].
#[derive(Debug)]
pub(crate) struct Task {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) files: Vec<Arc<dyn DiskFile>>,
    pub(super) dir: Option<PathBuf>,
    pub(super) obsolete_segments: Vec<PathBuf>,
    /// The lines to sync, and the number after the last segment's.
    pub(super) sync: Option<(Range<u64>, u64)>,
}

/// The result of a task.
#[derive(Debug)]
pub(crate) struct TaskResult {
    /// The lines that the task had to sync, as in [`Task::sync`].
    pub(super) sync: Option<(Range<u64>, u64)>,
    /// The segments that were not removed.
    pub(super) obsolete_segments: Vec<PathBuf>,
    pub(super) result: io::Result<()>,
}

impl Task {
    pub(crate) fn run(self) -> TaskResult {
        let mut result = Ok(());
        for file in &self.files {
            result = result.and_then(|()| file.sync());
        }
        if let Some(dir) = &self.dir {
            result = result.and_then(|()| self.disk.sync_dir(dir));
        }
        // Keep the old segments until the new header is synced: after a power failure, recovery
        // needs a header to identify the writer.
        let obsolete_segments =
            if result.is_ok() { Vec::new() } else { self.obsolete_segments.clone() };
        for path in self.obsolete_segments.iter().filter(|_| result.is_ok()) {
            // A segment that cannot be removed contains settled lines only, and is removed with the
            // folder.
            let _ = gone(self.disk.remove_file(path));
        }
        TaskResult { sync: self.sync, obsolete_segments, result }
    }
}
