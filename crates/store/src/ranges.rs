//! Sets of numbers that mostly follow one another.

use std::ops::Range;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of numbers, kept as ranges.
///
/// Invariant: sorted, none empty, none touching another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    ranges: Vec<Range<u64>>,
}

impl Ranges {
    /// Adds a number; tells whether it is new.
    pub(crate) fn insert(&mut self, n: u64) -> bool {
        // Numbers mostly come in order.
        match self.ranges.last_mut() {
            Some(last) if last.end == n => {
                last.end += 1;
                return true;
            }
            Some(last) if n > last.end => {
                self.ranges.push(n..n + 1);
                return true;
            }
            _ => {}
        }
        let is_new = !self.contains(n);
        if is_new {
            self.add(n..n + 1);
        }
        is_new
    }

    /// Adds all numbers of a range.
    pub(crate) fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let from = self.ranges.partition_point(|it| it.end < range.start);
        let to = self.ranges.partition_point(|it| it.start <= range.end);
        let joined = self.ranges[from..to].iter().fold(range, |joined, it| {
            joined.start.min(it.start)..joined.end.max(it.end)
        });
        self.ranges.splice(from..to, [joined]);
    }

    /// Takes all numbers of a range out.
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

    /// Returns one more than the highest number; 0 for none.
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
        Insert(u64),
        Add(Range<u64>),
        Remove(Range<u64>),
    }

    fn op() -> impl Strategy<Value = Op> {
        let range = || (0u64..40, 0u64..12).prop_map(|(start, length)| start..start + length);
        prop_oneof![
            (0u64..40).prop_map(Op::Insert),
            range().prop_map(Op::Add),
            range().prop_map(Op::Remove),
        ]
    }

    proptest! {
        /// Ranges are a set.
        #[test]
        fn behaves_as_a_set(ops in prop::collection::vec(op(), 0..40), within in (0u64..40, 0u64..20)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for op in ops {
                match op {
                    Op::Insert(n) => prop_assert_eq!(ranges.insert(n), set.insert(n)),
                    Op::Add(range) => { ranges.add(range.clone()); set.extend(range) }
                    Op::Remove(range) => { ranges.remove(range.clone()); set.retain(|n| !range.contains(n)) }
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
