//! Bugs that a test can enable, to show that the tests find them.
//!
//! Without the feature `seeded-bugs` every function is constant, and the code is compiled out.

/// A guarantee that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Frames are acked when they are submitted, not when they are on disk.
    EarlyAck,
    /// Frames are accepted with any checksum.
    SkippedCrc,
    /// Frames are trusted without a look at the base.
    BaseNotLookedAt,
    /// After an append, the frame before it is looked at instead of the base.
    PredecessorInsteadOfBase,
    /// A request that follows on something unknown is refused before the rest of the log is read.
    GapRefused,
    /// A refused append is lost although the frame at its number is the caller's.
    OwnFrameTakenForLoss,
    /// A refused append is lost whatever frame is at its number.
    RefusalTakenForLoss,
    /// The log is trimmed up to the last frame that was read, not up to the last that is flushed.
    TrimBeforeCommit,
}

#[cfg(not(any(test, feature = "seeded-bugs")))]
pub(crate) const fn is_seeded(_: Bug) -> bool {
    false
}

/// Passes the bug of the current thread on to a thread that it starts.
#[cfg(not(any(test, feature = "seeded-bugs")))]
pub(crate) fn inherited<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    work
}

#[cfg(any(test, feature = "seeded-bugs"))]
pub use seeding::seed;
#[cfg(any(test, feature = "seeded-bugs"))]
pub(crate) use seeding::{inherited, is_seeded};

#[cfg(any(test, feature = "seeded-bugs"))]
mod seeding {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static SEEDED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    pub(crate) fn is_seeded(bug: Bug) -> bool {
        SEEDED.get() == Some(bug)
    }

    pub(crate) fn inherited<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
        let bug = SEEDED.get();
        move || {
            seed(bug);
            work()
        }
    }

    /// Enables a bug for this thread, or disables all.
    pub fn seed(bug: Option<Bug>) {
        SEEDED.set(bug);
    }
}
