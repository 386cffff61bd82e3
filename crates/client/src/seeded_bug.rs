//! Bugs that a test may switch on, to show that the tests would find them.
//!
//! Outside of this crate's own tests every answer is a constant `false`, and the code behind it is
//! gone.

use crate::Lines;

/// A promise broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A lost answer counts as an ack.
    AckOnLostReply,
    /// Any answer with a success status counts as an ack, whatever its body.
    AckOnAnySuccess,
    /// A repetition sends its lines in another order.
    RotatedRetry,
    /// The lines after a repetition get the numbers that it had.
    OffsetNotConsumed,
    /// A frame passes whatever its checksum.
    SkippedCrc,
    /// A line leaves the spool when it is sent, not when it is acked.
    EarlyTrim,
    /// The spool's watermark says one line more than was acked.
    EagerWatermark,
    /// Recovered lines that are repeated count from zero instead of from where the table was.
    ForgottenOffset,
}

#[cfg(not(test))]
pub(crate) const fn is_seeded(_: Bug) -> bool {
    false
}

/// Returns an append's first number and lines as they are, unless a bug has its way with them.
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

    /// Switches a bug on for this thread, or all off.
    pub(crate) fn seed(bug: Option<Bug>) {
        SEEDED.set(bug);
    }
}
