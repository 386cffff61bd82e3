//! What a table remembers of its writers' lines.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hasher};

use serde::{Deserialize, Serialize};

use crate::ranges::Ranges;

/// How many of a run's last lines are remembered by their content.
const REMEMBERED: usize = 1 << 16;

/// The lines of one writer that the table has.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer {
    pub(super) seen: Ranges,
    /// Those of `seen` that were handed to the log and are not settled.
    pub(super) pending: Ranges,
    /// Only of a writer whose lines may be written again.
    pub(super) places: Option<Places>,
}

/// Where a run's lines are, so that one can take another's place.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// By first line: how many lines follow one another, and the position of the first.
    runs: BTreeMap<u64, (u64, u64)>,
    hashes: HashMap<u64, u64>,
    order: VecDeque<u64>,
}

impl Places {
    /// Tells whether the line is there with just this content. Says no where it does not remember.
    pub(super) fn is_same(&self, line: u64, text: &[u8]) -> bool {
        self.hashes.get(&line) == Some(&hash(text))
    }

    /// Puts a line at a position, and returns where it was before.
    pub(super) fn put(&mut self, line: u64, text: &[u8], position: u64) -> Option<u64> {
        if self.hashes.insert(line, hash(text)).is_none() {
            self.order.push_back(line);
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.hashes.remove(&oldest);
            }
        }
        self.place(line, position)
    }

    /// Puts a line whose content is not known at a position, and returns where it was before.
    pub(super) fn place(&mut self, line: u64, position: u64) -> Option<u64> {
        let before = self.take(line);
        match self.runs.range_mut(..line).next_back() {
            Some((first, (count, at))) if first + *count == line && *at + *count == position => {
                *count += 1;
            }
            _ => {
                self.runs.insert(line, (1, position));
            }
        }
        before
    }

    /// Takes a line out, and returns where it was.
    fn take(&mut self, line: u64) -> Option<u64> {
        let (&first, &(count, at)) = self.runs.range(..=line).next_back()?;
        let offset = line - first;
        if offset >= count {
            return None;
        }
        self.runs.remove(&first);
        if offset > 0 {
            self.runs.insert(first, (offset, at));
        }
        if offset + 1 < count {
            self.runs.insert(line + 1, (count - offset - 1, at + offset + 1));
        }
        Some(at + offset)
    }
}

fn hash(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text);
    hasher.finish()
}

/// A writer as it is written down.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredWriter {
    pub(super) id: String,
    seen: Ranges,
    /// First line, count, position of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    places: Option<Vec<(u64, u64, u64)>>,
}

impl Writer {
    pub(super) fn to_stored(&self, id: &str) -> StoredWriter {
        let places = self.places.as_ref();
        // What is not durable yet may never be.
        let mut seen = self.seen.clone();
        for range in self.pending.iter() {
            seen.remove(range);
        }
        StoredWriter {
            id: id.to_owned(),
            seen,
            places: places.map(|it| it.runs.iter().map(|(&l, &(n, p))| (l, n, p)).collect()),
        }
    }

    pub(super) fn from_stored(stored: StoredWriter) -> (String, Self) {
        let places = stored.places.map(|runs| Places {
            runs: runs.into_iter().map(|(line, count, at)| (line, (count, at))).collect(),
            ..Places::default()
        });
        (stored.id, Self { seen: stored.seen, pending: Ranges::default(), places })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A line is where it was put last.
        #[test]
        fn behaves_as_a_map(lines in prop::collection::vec(0u64..20, 0..60)) {
            let (mut places, mut model) = (Places::default(), HashMap::new());
            for (position, line) in lines.into_iter().enumerate() {
                let text = position.to_le_bytes();
                prop_assert!(!places.is_same(line, &text));
                prop_assert_eq!(places.put(line, &text, position as u64), model.insert(line, position as u64));
                prop_assert!(places.is_same(line, &text));
            }
            let listed: HashMap<u64, u64> = places
                .runs
                .iter()
                .flat_map(|(&line, &(count, at))| (0..count).map(move |i| (line + i, at + i)))
                .collect();
            prop_assert_eq!(listed, model);
        }
    }
}
