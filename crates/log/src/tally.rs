//! Counts how often a kind of work is done, and how long it takes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The work that was done so far; shared by the threads that do it.
#[derive(Debug, Default)]
pub struct Tally {
    count: AtomicU64,
    micros: AtomicU64,
}

impl Tally {
    /// Adds work that began at `start` and ends now.
    pub fn add(&self, start: Instant) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Returns how often the work was done.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns how long all of it took.
    pub fn time(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Relaxed))
    }
}
