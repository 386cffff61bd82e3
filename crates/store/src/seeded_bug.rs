//! Bugs that a test may switch on, to show that the tests would find them.
//!
//! Outside of this crate's own tests every answer is a constant `false`, and the code behind it is
//! gone.

/// A promise broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Rows are acked when they are handed over, not when they are on disk.
    EarlyAck,
    /// A frame of the log passes whatever its checksum.
    SkippedCrc,
    /// The lines that a table has are not known any more after a restart.
    ForgottenLines,
    /// Log files go before what they hold is at rest.
    EarlyTrim,
}

#[cfg(not(test))]
pub(crate) const fn is_seeded(_: Bug) -> bool {
    false
}

/// Lets a thread that is going to be started have the bug of the one that starts it.
#[cfg(not(test))]
pub(crate) fn inherited<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    work
}

#[cfg(test)]
pub(crate) use seeding::{inherited, is_seeded, seed};

#[cfg(test)]
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

    /// Switches a bug on for this thread, or all off.
    pub(crate) fn seed(bug: Option<Bug>) {
        SEEDED.set(bug);
    }
}
