//! The index of the lines of a table's writers.

use std::collections::{BTreeMap, HashMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash64;

use crate::ranges::Ranges;
use crate::seeded_bug::{Bug, is_seeded};

/// How many lines of a run are remembered by their content: the newest ones.
const REMEMBERED: usize = 1 << 16;

/// The lines of one writer that the table has.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer {
    pub(super) seen: Ranges,
    /// The lines in `seen` that were submitted to the log and whose outcome is not known yet.
    pub(super) pending: Ranges,
    /// Present only for a writer whose lines may be overwritten.
    pub(super) places: Option<LineIndex>,
}

/// The hash of a line's content. It is stored on disk, so it must be the same in every build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContentHash(u64);

impl ContentHash {
    pub(super) fn of(text: &[u8]) -> Self {
        Self(XxHash64::oneshot(0, text))
    }
}

/// A line of a run with its content, at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) line: u64,
    pub(super) content: ContentHash,
    pub(super) position: u64,
}

/// The positions of a run's lines, so that a line can replace an earlier one.
#[derive(Clone, Debug, Default)]
pub(super) struct LineIndex {
    /// By first line: the number of consecutive lines, and the position of the first.
    runs: BTreeMap<u64, (u64, u64)>,
    hashes: HashMap<u64, ContentHash>,
    /// The lines in `hashes`, the next to forget first.
    order: VecDeque<u64>,
    /// The newest content, by line, of lines that were submitted to the log and whose outcome is
    /// not known yet.
    pending: HashMap<u64, Placed>,
}

impl LineIndex {
    /// Returns whether the newest content of a line equals this one; false if it is not remembered.
    pub(super) fn is_same(&self, line: u64, content: ContentHash) -> bool {
        match self.pending.get(&line) {
            Some(pending) => pending.content == content,
            None => self.hashes.get(&line) == Some(&content),
        }
    }

    /// Remembers a line that was submitted to the log.
    pub(super) fn submit(&mut self, placed: Placed) {
        self.pending.insert(placed.line, placed);
    }

    /// Removes a line from the pending ones, unless it was submitted again since.
    pub(super) fn settle(&mut self, placed: Placed) {
        if self.pending.get(&placed.line) == Some(&placed) {
            self.pending.remove(&placed.line);
        }
    }

    /// Sets the position of a line, and returns its previous position.
    pub(super) fn put(&mut self, placed: Placed) -> Option<u64> {
        let Placed { line, content, position } = placed;
        self.remember(line, content);
        self.place(line, position)
    }

    /// Sets the position of a line whose content is not known, and returns its previous position.
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

    /// Restores the content of a line from the log if the line is still at that position and its
    /// content is not known.
    pub(super) fn learn(&mut self, placed: Placed) {
        let Placed { line, content, position } = placed;
        if self.find(line) == Some(position) && !self.hashes.contains_key(&line) {
            self.remember(line, content);
        }
    }

    fn remember(&mut self, line: u64, content: ContentHash) {
        if self.hashes.insert(line, content).is_none() {
            self.order.push_back(line);
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.hashes.remove(&oldest);
            }
        }
    }

    /// Returns the position of a line.
    fn find(&self, line: u64) -> Option<u64> {
        let (&first, &(count, at)) = self.runs.range(..=line).next_back()?;
        let offset = line - first;
        (offset < count).then(|| at + offset)
    }

    /// Removes a line, and returns its position.
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

    fn contents(&self) -> StoredContents {
        let mut lines: Vec<(u64, u64)> = Vec::new();
        let mut hashes = Vec::with_capacity(8 * self.order.len());
        for &line in &self.order {
            let Some(content) = self.hashes.get(&line) else { continue };
            hashes.extend_from_slice(&content.0.to_le_bytes());
            match lines.last_mut() {
                Some((first, count)) if *first + *count == line => *count += 1,
                _ => lines.push((line, 1)),
            }
        }
        StoredContents { lines, hashes: BASE64.encode(hashes) }
    }

    /// Restores stored contents. If the content of a line cannot be read, it is just not
    /// remembered.
    fn restore(&mut self, stored: &StoredContents) {
        let hashes = BASE64.decode(&stored.hashes).unwrap_or_default();
        let lines =
            stored.lines.iter().flat_map(|&(first, count)| first..first.saturating_add(count));
        for (line, hash) in lines.zip(hashes.as_chunks::<8>().0) {
            self.remember(line, ContentHash(u64::from_le_bytes(*hash)));
        }
    }
}

/// A writer as it is stored on disk.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredWriter {
    pub(super) id: String,
    seen: Ranges,
    /// First line, count, position of the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    places: Option<Vec<(u64, u64, u64)>>,
    /// Missing in the states of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contents: Option<StoredContents>,
}

/// The contents of lines that are remembered.
#[derive(Debug, Serialize, Deserialize)]
struct StoredContents {
    /// First line and count, the lines to forget next first.
    lines: Vec<(u64, u64)>,
    /// The hashes of those lines, each of 8 bytes, little-endian: the XXH64 of the line with seed 0.
    hashes: String,
}

impl Writer {
    pub(super) fn to_stored(&self, id: &str) -> StoredWriter {
        let places = self.places.as_ref();
        // Lines that are not durable yet may be given up.
        let mut seen = self.seen.clone();
        seen.remove_all(&self.pending);
        StoredWriter {
            id: id.to_owned(),
            seen,
            places: places.map(|it| it.runs.iter().map(|(&l, &(n, p))| (l, n, p)).collect()),
            contents: places.map(LineIndex::contents),
        }
    }

    pub(super) fn from_stored(stored: StoredWriter) -> (String, Self) {
        let contents = stored.contents.filter(|_| !is_seeded(Bug::ForgottenContents));
        let places = stored.places.map(|runs| {
            let runs = runs.into_iter().map(|(line, count, at)| (line, (count, at))).collect();
            let mut places = LineIndex { runs, ..LineIndex::default() };
            contents.iter().for_each(|contents| places.restore(contents));
            places
        });
        (stored.id, Self { seen: stored.seen, pending: Ranges::default(), places })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn placed(line: u64, position: u64) -> Placed {
        Placed { line, content: ContentHash::of(&position.to_le_bytes()), position }
    }

    proptest! {
        /// A line is found at its last position, also after its writer was stored and restored.
        #[test]
        fn behaves_as_a_map(lines in prop::collection::vec((0u64..20, any::<bool>()), 0..60)) {
            let (mut places, mut model) = (LineIndex::default(), BTreeMap::new());
            for (position, (line, is_stored)) in lines.into_iter().enumerate() {
                let placed = placed(line, position as u64);
                prop_assert!(!places.is_same(line, placed.content));
                prop_assert_eq!(places.put(placed), model.insert(line, position as u64));
                if is_stored {
                    let writer = Writer { places: Some(places), ..Writer::default() };
                    let text = serde_json::to_string(&writer.to_stored("w")).unwrap();
                    let read = Writer::from_stored(serde_json::from_str(&text).unwrap()).1;
                    places = read.places.unwrap();
                }
                prop_assert!(places.is_same(line, placed.content));
            }
            for (&line, &position) in &model {
                prop_assert!(places.is_same(line, placed(line, position).content));
                prop_assert_eq!(places.find(line), Some(position));
            }
            prop_assert_eq!(places.runs.values().map(|(count, _)| count).sum::<u64>(), model.len() as u64);
        }
    }

    #[test]
    fn the_last_lines_are_remembered() {
        let mut places = LineIndex::default();
        let count = REMEMBERED as u64 + 10;
        (0..count).for_each(|line| assert_eq!(places.put(placed(line, line)), None));
        let mut read = LineIndex::default();
        read.restore(&places.contents());
        for places in [&places, &read] {
            assert!((0..10).all(|line| !places.is_same(line, placed(line, line).content)));
            assert!((10..count).all(|line| places.is_same(line, placed(line, line).content)));
        }
        assert_eq!(read.order, places.order);
    }

    #[test]
    fn the_hash_is_the_same_in_every_build() {
        assert_eq!(ContentHash::of(b""), ContentHash(0xef46_db37_51d8_e999));
        // A change of this value would lose the contents of all stored lines.
        assert_eq!(ContentHash::of(b"a"), ContentHash(0xd24e_c4f1_a98c_6e5b));
    }

    #[test]
    fn a_state_of_the_version_before_is_read() {
        let stored = r#"{"id":"run","seen":[[0,3]],"places":[[0,3,0]]}"#;
        let (id, writer) = Writer::from_stored(serde_json::from_str(stored).unwrap());
        let mut places = writer.places.unwrap();
        assert_eq!((id.as_str(), places.find(2)), ("run", Some(2)));
        // The log still has the newest lines of such a state.
        let line = placed(1, 1);
        assert!(!places.is_same(1, line.content));
        places.learn(Placed { position: 7, ..line });
        assert!(!places.is_same(1, line.content));
        places.learn(line);
        assert!(places.is_same(1, line.content));
    }
}
