//! Counts how often a kind of work is done, and how long it takes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use streamtable_store::Work;

/// The work that was done so far; shared by the threads that do it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    count: AtomicU64,
    micros: AtomicU64,
}

impl Tally {
    /// Adds work that began at `start` and ends now.
    pub(crate) fn add(&self, start: Instant) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn work(&self) -> Work {
        Work {
            count: self.count.load(Ordering::Relaxed),
            time: Duration::from_micros(self.micros.load(Ordering::Relaxed)),
        }
    }
}
