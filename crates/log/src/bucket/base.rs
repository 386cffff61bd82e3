//! The rule that prevents a node that slept from trusting objects at numbers that were trimmed.
//!
//! A frame's object is deleted no earlier than [`KEEP`] after the base moved above it. After that,
//! the bucket accepts a frame at that number again, although no node would read it. A node that reads
//! the base and finds it at or below `n` therefore knows that everything it learns about number `n`
//! within [`KEEP`] after it sent that request is true: no frame was absent only because it was
//! deleted. [`FRESH`] is less than that, so that clocks may differ in speed. Later findings count only
//! after the node has read the base again.

use std::collections::VecDeque;
use std::time::Duration;

use crate::seeded_bug::{Bug, is_seeded};

/// How long after a look at the base findings about higher numbers count.
pub(crate) const FRESH: Duration = Duration::from_secs(5 * 60);

/// How long frames are kept after the base has moved above them.
pub(crate) const KEEP: Duration = Duration::from_secs(10 * 60);

/// A node's knowledge of the base.
#[derive(Clone, Debug, Default)]
pub(crate) struct BaseView {
    seen: Option<Seen>,
    /// Bases in ascending order, with the time since when they are known.
    known: VecDeque<(u64, Duration)>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    base: u64,
    /// When the request was sent.
    asked_at: Duration,
}

/// Whether a new finding about a number counts.
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

    /// Returns whether a finding at `now` about a number counts.
    pub(crate) fn standing(&self, number: u64, now: Duration) -> Standing {
        if is_seeded(Bug::BaseNotLookedAt) {
            return Standing::True;
        }
        match self.seen {
            Some(Seen { base, .. }) if base > number => Standing::Trimmed { base },
            Some(Seen { asked_at, .. }) if now.saturating_sub(asked_at) <= FRESH => Standing::True,
            _ => Standing::Look,
        }
    }

    /// Records that the base is known to be this high, or higher, at `now`.
    pub(crate) fn knows(&mut self, base: u64, now: Duration) {
        if self.known.back().is_none_or(|&(last, _)| last < base) {
            self.known.push_back((base, now));
        }
    }

    /// Returns the number below which frames may be deleted: this process has known for [`KEEP`] that
    /// the base is above them. After a restart it starts to wait again, so it needs no clock that
    /// others share.
    pub(crate) fn deletable(&mut self, now: Duration) -> Option<u64> {
        let is_old = |&(_, since): &(u64, Duration)| now.saturating_sub(since) >= KEEP;
        let mut newest = None;
        while let Some(&(base, _)) = self.known.front().filter(|it| is_old(it)) {
            newest = Some(base);
            self.known.pop_front();
        }
        let (base, since) = (newest?, now.saturating_sub(KEEP));
        // Still known, so that frames of nodes that slept are deleted later.
        self.known.push_front((base, since));
        Some(base)
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

    #[test]
    fn frames_are_deleted_ten_minutes_after_the_base_has_moved() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let mut view = BaseView::default();
        assert_eq!(view.deletable(minutes(0)), None);
        view.knows(5, minutes(0));
        view.knows(5, minutes(3));
        view.knows(9, minutes(4));
        assert_eq!(view.deletable(minutes(9)), None);
        assert_eq!(view.deletable(minutes(10)), Some(5));
        assert_eq!(view.deletable(minutes(11)), Some(5));
        assert_eq!(view.deletable(minutes(14)), Some(9));
        assert_eq!(view.deletable(minutes(99)), Some(9));
    }
}
