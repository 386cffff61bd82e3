//! The most recent rejected rows, for callers that wait for theirs.

use std::collections::VecDeque;

use crate::NotStored;
use crate::receipt::LineSet;

/// Number of rejected rows that are remembered.
const REMEMBERED: usize = 1024;

/// The most recent rejected lines, in their order, with the reason.
#[derive(Debug, Default)]
pub(crate) struct Rejections {
    recent: VecDeque<(u64, String)>,
    /// Whether a line before this one was rejected is not known any more.
    known_from: u64,
}

impl Rejections {
    pub(crate) fn record(&mut self, line: u64, reason: &str) {
        if self.recent.len() == REMEMBERED
            && let Some((oldest, _)) = self.recent.pop_front()
        {
            self.known_from = oldest + 1;
        }
        self.recent.push_back((line, reason.to_owned()));
    }

    /// Returns an error if one of these lines, which are settled, was rejected.
    pub(crate) fn among(&self, lines: &LineSet) -> Result<(), NotStored> {
        let mut rejected = self.recent.iter().filter(|(line, _)| lines.contains(*line));
        match rejected.next() {
            Some((_, reason)) => Err(NotStored::Rejected {
                rows: 1 + rejected.count() as u64,
                reason: reason.clone(),
            }),
            None if lines.start() < self.known_from => Err(NotStored::Forgotten),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: impl IntoIterator<Item = u64>) -> LineSet {
        let mut set = LineSet::default();
        lines.into_iter().for_each(|line| set.push(line));
        set
    }

    #[test]
    fn a_rejection_concerns_only_its_own_lines() {
        let mut rejections = Rejections::default();
        rejections.record(3, "no");
        rejections.record(5, "never");
        let rejected =
            |rows, reason: &str| Err(NotStored::Rejected { rows, reason: reason.into() });
        assert_eq!(rejections.among(&lines([2, 4, 6])), Ok(()));
        assert_eq!(rejections.among(&lines(3..9)), rejected(2, "no"));
        assert_eq!(rejections.among(&lines([4, 5])), rejected(1, "never"));
    }

    #[test]
    fn a_rejection_that_may_be_forgotten_is_not_success() {
        let mut rejections = Rejections::default();
        (0..=REMEMBERED as u64).for_each(|n| rejections.record(2 * n, "no"));
        assert_eq!(rejections.among(&lines([0])), Err(NotStored::Forgotten));
        assert_eq!(rejections.among(&lines([1])), Ok(()));
        assert!(matches!(rejections.among(&lines([2])), Err(NotStored::Rejected { .. })));
    }
}
