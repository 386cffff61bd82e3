//! Background maintenance of a journal, done without holding its lock.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::disk::{Disk, DiskFile, gone};

/// The next maintenance step of a journal.
#[derive(Debug)]
pub(crate) enum Chore {
    /// Nothing to do, or nothing before this time.
    Wait(Option<Instant>),
    Now(Job),
}

/// Work to do without the lock. Its result goes to [`SpoolJournal::done`].
#[derive(Debug)]
pub(crate) struct Job {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) files: Vec<Arc<dyn DiskFile>>,
    pub(super) dir: Option<PathBuf>,
    pub(super) garbage: Vec<PathBuf>,
    /// The lines to sync, and the number after the last segment's.
    pub(super) sync: Option<(Range<u64>, u64)>,
}

/// The result of a job.
#[derive(Debug)]
pub(crate) struct Done {
    /// The lines that the job had to sync, as in [`Job::sync`].
    pub(super) sync: Option<(Range<u64>, u64)>,
    /// The segments that were not removed.
    pub(super) garbage: Vec<PathBuf>,
    pub(super) result: io::Result<()>,
}

impl Job {
    pub(crate) fn run(self) -> Done {
        let mut result = Ok(());
        for file in &self.files {
            result = result.and_then(|()| file.sync());
        }
        if let Some(dir) = &self.dir {
            result = result.and_then(|()| self.disk.sync_dir(dir));
        }
        // Keep the old segments until the new header is synced: after a power failure, recovery
        // needs a header to identify the writer.
        let garbage = if result.is_ok() { Vec::new() } else { self.garbage.clone() };
        for path in self.garbage.iter().filter(|_| result.is_ok()) {
            // A segment that cannot be removed contains settled lines only, and is removed with the
            // folder.
            let _ = gone(self.disk.remove_file(path));
        }
        Done { sync: self.sync, garbage, result }
    }
}
