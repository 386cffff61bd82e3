//! Sets of mostly consecutive numbers.

use std::ops::Range;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Up to this many ranges are added or removed one by one.
const FEW: usize = 4;

/// A set of numbers, kept as ranges.
///
/// Invariant: sorted, none empty, none touching another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    ranges: Vec<Range<u64>>,
}

impl Ranges {
    /// Adds all numbers of a range.
    pub(crate) fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        // Numbers mostly arrive in order.
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => {
                last.end = range.end;
                return;
            }
            Some(last) if range.start > last.end => {
                self.ranges.push(range);
                return;
            }
            _ => {}
        }
        let from = self.ranges.partition_point(|it| it.end < range.start);
        let to = self.ranges.partition_point(|it| it.start <= range.end);
        let joined = self.ranges[from..to]
            .iter()
            .fold(range, |joined, it| joined.start.min(it.start)..joined.end.max(it.end));
        self.ranges.splice(from..to, [joined]);
    }

    /// Removes all numbers of a range.
    pub(crate) fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let from = self.ranges.partition_point(|it| it.end <= range.start);
        let to = self.ranges.partition_point(|it| it.start < range.end);
        let rest: Vec<_> = self.ranges[from..to]
            .iter()
            .flat_map(|it| [it.start..range.start.min(it.end), range.end.max(it.start)..it.end])
            .filter(|it| !it.is_empty())
            .collect();
        self.ranges.splice(from..to, rest);
    }

    /// Adds all numbers of another set, in time linear in the ranges of both at most.
    pub(crate) fn add_all(&mut self, other: &Self) {
        if other.ranges.len() <= FEW {
            return other.iter().for_each(|range| self.add(range));
        }
        let mut all = std::mem::take(&mut self.ranges);
        all.extend(other.iter());
        // The sort merges the two sorted runs.
        all.sort_by_key(|it| it.start);
        for range in all {
            match self.ranges.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => self.ranges.push(range),
            }
        }
    }

    /// Removes all numbers of another set, in time linear in the ranges of both at most.
    pub(crate) fn remove_all(&mut self, other: &Self) {
        if other.ranges.len() <= FEW {
            return other.iter().for_each(|range| self.remove(range));
        }
        let mut removed = other.iter().peekable();
        for range in std::mem::take(&mut self.ranges) {
            let mut start = range.start;
            while removed.next_if(|it| it.end <= start).is_some() {}
            while let Some(next) = removed.peek().filter(|it| it.start < range.end) {
                if start < next.start {
                    self.ranges.push(start..next.start);
                }
                start = next.end;
                if next.end >= range.end {
                    break;
                }
                removed.next();
            }
            if start < range.end {
                self.ranges.push(start..range.end);
            }
        }
    }

    pub(crate) fn contains(&self, n: u64) -> bool {
        let next = self.ranges.partition_point(|it| it.end <= n);
        self.ranges.get(next).is_some_and(|it| it.contains(&n))
    }

    /// Returns how many numbers of a range there are.
    pub(crate) fn count_within(&self, range: Range<u64>) -> u64 {
        self.within(range).map(|it| it.end - it.start).sum()
    }

    /// Returns the parts of a range that are in the set.
    pub(crate) fn within(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let from = self.ranges.partition_point(|it| it.end <= range.start);
        self.ranges[from..]
            .iter()
            .take_while(move |it| it.start < range.end)
            .map(move |it| it.start.max(range.start)..it.end.min(range.end))
    }

    /// Returns one more than the highest number; 0 if the set is empty.
    pub(crate) fn end(&self) -> u64 {
        self.ranges.last().map_or(0, |it| it.end)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges.iter().cloned()
    }
}

impl FromIterator<Range<u64>> for Ranges {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut this = Self::default();
        for range in ranges {
            this.add(range);
        }
        this
    }
}

impl Serialize for Ranges {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.ranges.iter().map(|it| (it.start, it.end)))
    }
}

impl<'de> Deserialize<'de> for Ranges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs: Vec<(u64, u64)> = Vec::deserialize(deserializer)?;
        Ok(pairs.into_iter().map(|(start, end)| start..end).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Op {
        Add(Range<u64>),
        Remove(Range<u64>),
        AddAll(Vec<Range<u64>>),
        RemoveAll(Vec<Range<u64>>),
    }

    fn op() -> impl Strategy<Value = Op> {
        let range = || (0u64..40, 0u64..12).prop_map(|(start, length)| start..start + length);
        let short = || (0u64..40, 0u64..3).prop_map(|(start, length)| start..start + length);
        let many = || prop::collection::vec(short(), 0..12);
        prop_oneof![
            range().prop_map(Op::Add),
            range().prop_map(Op::Remove),
            many().prop_map(Op::AddAll),
            many().prop_map(Op::RemoveAll),
        ]
    }

    proptest! {
        /// Ranges behave like a set.
        #[test]
        fn behaves_as_a_set(ops in prop::collection::vec(op(), 0..40), within in (0u64..40, 0u64..20)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for op in ops {
                match op {
                    Op::Add(range) => { ranges.add(range.clone()); set.extend(range) }
                    Op::Remove(range) => { ranges.remove(range.clone()); set.retain(|n| !range.contains(n)) }
                    Op::AddAll(other) => {
                        ranges.add_all(&other.iter().cloned().collect());
                        set.extend(other.into_iter().flatten());
                    }
                    Op::RemoveAll(other) => {
                        ranges.remove_all(&other.iter().cloned().collect());
                        set.retain(|n| !other.iter().any(|range| range.contains(n)));
                    }
                }
                let listed: Vec<u64> = ranges.iter().flatten().collect();
                prop_assert_eq!(listed, set.iter().copied().collect::<Vec<_>>());
                prop_assert!(ranges.ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
                prop_assert_eq!(ranges.end(), set.last().map_or(0, |n| n + 1));
                prop_assert!((0..60).all(|n| ranges.contains(n) == set.contains(&n)));
            }
            let within = within.0..within.0 + within.1;
            let parts: Vec<u64> = ranges.within(within.clone()).flatten().collect();
            prop_assert_eq!(&parts, &set.range(within.clone()).copied().collect::<Vec<_>>());
            prop_assert_eq!(ranges.count_within(within), parts.len() as u64);
            let text = serde_json::to_string(&ranges).unwrap();
            prop_assert_eq!(serde_json::from_str::<Ranges>(&text).unwrap(), ranges);
        }
    }
}
