//! The rule that keeps a node that slept from trusting what it finds at numbers that were trimmed.
//!
//! A frame's object is deleted no earlier than [`KEEP`] after the base moved above it. After that
//! the bucket accepts a frame at that number again, which nobody would read. A node that starts a
//! look at the base, and finds it at or below `n`, therefore knows that whatever it learns about
//! number `n` within [`KEEP`] after the start of the look is true: no frame was missing only because
//! it was deleted. [`FRESH`] is less than that, so that clocks may differ in speed. What a node learns
//! later counts only after another look.

use std::time::Duration;

/// How long after a look at the base what is learned about higher numbers counts.
pub(crate) const FRESH: Duration = Duration::from_secs(5 * 60);

/// How long frames are kept after the base has moved above them.
pub(crate) const KEEP: Duration = Duration::from_secs(10 * 60);

/// What a node knows about the base.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BaseView {
    seen: Option<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    base: u64,
    /// When the request was sent.
    asked_at: Duration,
}

/// Whether something that was just learned about a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It counts.
    True,
    /// It counts if the base, looked at from now on, is not above the number.
    Look,
    /// It does not count: the frame was trimmed.
    Trimmed { base: u64 },
}

impl BaseView {
    /// Records the base that a request returned which was sent at `asked_at`.
    pub(crate) fn saw(&mut self, base: u64, asked_at: Duration) {
        if self.seen.is_none_or(|seen| seen.asked_at <= asked_at) {
            self.seen = Some(Seen { base, asked_at });
        }
    }

    /// Returns whether something counts that was learned at `now` about a number.
    pub(crate) fn standing(&self, number: u64, now: Duration) -> Standing {
        match self.seen {
            Some(Seen { base, .. }) if base > number => Standing::Trimmed { base },
            Some(Seen { asked_at, .. }) if now.saturating_sub(asked_at) <= FRESH => Standing::True,
            _ => Standing::Look,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_learned_counts_for_a_while_after_a_look() {
        let at = Duration::from_secs;
        let mut view = BaseView::default();
        assert_eq!(view.standing(7, at(0)), Standing::Look);
        view.saw(7, at(100));
        assert_eq!(view.standing(7, at(400)), Standing::True);
        assert_eq!(view.standing(7, at(401)), Standing::Look);
        assert_eq!(view.standing(6, at(100)), Standing::Trimmed { base: 7 });
        // The response to an earlier look arrives later.
        view.saw(5, at(50));
        assert_eq!(view.standing(6, at(100)), Standing::Trimmed { base: 7 });
    }
}
