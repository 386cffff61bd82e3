//! What a journal has to do now and then, outside of its lock.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::disk::{Disk, DiskFile, gone};

/// What a journal has to do that may take time.
#[derive(Debug)]
pub(crate) enum Chore {
    /// Nothing, or nothing before then.
    Wait(Option<Instant>),
    Now(Job),
}

/// Work without the lock. Its outcome goes to [`SpoolJournal::done`].
#[derive(Debug)]
pub(crate) struct Job {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) files: Vec<Arc<dyn DiskFile>>,
    pub(super) dir: Option<PathBuf>,
    pub(super) garbage: Vec<PathBuf>,
    /// The lines that are to be synced, and the number behind the last segment's.
    pub(super) sync: Option<(Range<u64>, u64)>,
}

/// What became of a job.
#[derive(Debug)]
pub(crate) struct Done {
    /// What was to be synced.
    pub(super) sync: Option<(Range<u64>, u64)>,
    /// What was not removed.
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
        // Who wrote the lines must be known to whoever comes after a power cut.
        let garbage = if result.is_ok() { Vec::new() } else { self.garbage.clone() };
        for path in self.garbage.iter().filter(|_| result.is_ok()) {
            // What stays holds only settled lines, and goes with the folder.
            let _ = gone(self.disk.remove_file(path));
        }
        Done { sync: self.sync, garbage, result }
    }
}
