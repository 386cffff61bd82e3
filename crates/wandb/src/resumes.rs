//! Which runs clients are about to resume.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Time after which a client that asked for the state of a run has not resumed it.
const EXPIRY: Duration = Duration::from_secs(60);

/// The runs whose state a client has read in order to resume them.
///
/// All clients take the number of their first line from the response by which they open a run. A
/// client that resumes needs the run's next line, one that starts over needs 0, and their requests
/// are the same: only the one that resumes has asked for the run's state before.
#[derive(Debug, Default)]
pub(crate) struct Resumes(Mutex<HashMap<i64, Instant>>);

impl Resumes {
    /// Called when a client has read a run's state.
    pub(crate) fn announce(&self, run: i64, now: Instant) {
        let mut runs = self.0.lock();
        runs.retain(|_, at| now.duration_since(*at) < EXPIRY);
        runs.insert(run, now);
    }

    /// Returns whether the client that opens a run resumes it. A client that misses the response
    /// opens the run again.
    pub(crate) fn is_announced(&self, run: i64, now: Instant) -> bool {
        self.0.lock().get(&run).is_some_and(|at| now.duration_since(*at) < EXPIRY)
    }

    /// Called when rows of a run arrive, which its client has opened before.
    pub(crate) fn end(&self, run: i64) {
        self.0.lock().remove(&run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_ends_with_its_first_rows_or_after_a_while() {
        let (resumes, start) = (Resumes::default(), Instant::now());
        resumes.announce(1, start);
        resumes.announce(2, start);
        assert!(resumes.is_announced(1, start) && resumes.is_announced(1, start + EXPIRY / 2));
        resumes.end(1);
        assert!(!resumes.is_announced(1, start) && resumes.is_announced(2, start));
        assert!(!resumes.is_announced(2, start + EXPIRY));
        resumes.announce(3, start + EXPIRY);
        assert_eq!(resumes.0.lock().len(), 1);
    }
}
