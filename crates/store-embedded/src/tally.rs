//! Counts how often a kind of work is done, and how long it takes.

pub(crate) use streamtable_log::Tally;
use streamtable_store::Work;

/// Returns the work that was done so far.
pub(crate) fn work(tally: &Tally) -> Work {
    Work { count: tally.count(), time: tally.time() }
}
