//! Bugs that a test can switch on, to prove that the tests find them.
//!
//! Outside of this crate's own tests, every check is a constant `false`, and the compiler removes
//! the code behind it.

use crate::Lines;

/// A seeded bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A lost response counts as an ack.
    AckOnLostReply,
    /// Any answer with a success status counts as an ack, whatever its body.
    AckOnAnySuccess,
    /// A repetition sends its lines in another order.
    RotatedRetry,
    /// The lines after a retry get the numbers of the retry.
    OffsetNotConsumed,
    /// Frames are accepted without checking the checksum.
    SkippedCrc,
    /// A line is removed from the spool when it is sent, not when it is acked.
    EarlyTrim,
    /// The spool's watermark is one line ahead of the acks.
    EagerWatermark,
    /// A retry of recovered lines counts from zero instead of from the writer's first line.
    ForgottenOffset,
}

#[cfg(not(test))]
pub(crate) const fn is_seeded(_: Bug) -> bool {
    false
}

/// Returns an append's first number and lines, changed only by a seeded bug.
pub(crate) fn in_append(first: u64, lines: Lines, is_repeat: bool) -> (u64, Lines) {
    if is_seeded(Bug::OffsetNotConsumed) {
        return (first.saturating_sub(1), lines);
    }
    if is_repeat && is_seeded(Bug::RotatedRetry) {
        let mut texts: Vec<&[u8]> = lines.iter().collect();
        texts.rotate_left(1);
        return (first, texts.into_iter().collect());
    }
    (first, lines)
}

#[cfg(test)]
pub(crate) use seeding::{is_seeded, seed};

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

    /// Switches one bug on for this thread, or all off.
    pub(crate) fn seed(bug: Option<Bug>) {
        SEEDED.set(bug);
    }
}
