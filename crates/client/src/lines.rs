//! Lines that are sent to a backend.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

/// Consecutive lines of one writer. Each is the JSON text of a row, without a line end.
///
/// Cheap to clone; the bytes are shared with the journal.
#[derive(Clone, Default)]
pub struct Lines {
    parts: Vec<Part>,
}

/// A range of the lines of a block.
#[derive(Clone)]
struct Part {
    block: Block,
    lines: Range<usize>,
}

/// Concatenated lines, and where each of them ends.
#[derive(Clone)]
pub(crate) struct Block {
    bytes: Bytes,
    ends: Arc<[usize]>,
}

impl Block {
    pub(crate) fn new(bytes: Vec<u8>, ends: Vec<usize>) -> Self {
        Self { bytes: bytes.into(), ends: ends.into() }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn start(&self, line: usize) -> usize {
        line.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// Returns the lines.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|line| &self.bytes[self.start(line)..self.ends[line]])
    }

    /// Returns the number of lines, starting at `first`, that fit into `bytes`.
    pub(crate) fn fit(&self, first: usize, bytes: usize) -> usize {
        let limit = self.start(first).saturating_add(bytes);
        self.ends[first..].partition_point(|&end| end <= limit)
    }
}

impl Lines {
    pub(crate) fn push(&mut self, block: &Block, lines: Range<usize>) {
        if !lines.is_empty() {
            self.parts.push(Part { block: block.clone(), lines });
        }
    }

    /// Returns the number of lines.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lines.len()).sum()
    }

    /// Returns the total size of the lines. The time does not depend on their number.
    pub fn bytes(&self) -> usize {
        let bytes_of =
            |Part { block, lines }: &Part| block.start(lines.end) - block.start(lines.start);
        self.parts.iter().map(bytes_of).sum()
    }

    /// Returns whether there are no lines.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Returns a line; an empty one if the index is out of range.
    pub(crate) fn get(&self, index: u64) -> &[u8] {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.iter().nth(index).unwrap_or_default()
    }

    /// Returns the lines in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().flat_map(|Part { block, lines }| {
            lines.clone().map(|i| &block.bytes[block.start(i)..block.ends[i]])
        })
    }
}

impl<L: AsRef<[u8]>> FromIterator<L> for Lines {
    /// Copies lines into one block, for custom journals and tests.
    fn from_iter<I: IntoIterator<Item = L>>(lines: I) -> Self {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for line in lines {
            bytes.extend_from_slice(line.as_ref());
            ends.push(bytes.len());
        }
        let mut this = Self::default();
        let count = ends.len();
        this.push(&Block::new(bytes, ends), 0..count);
        this
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(String::from_utf8_lossy)).finish()
    }
}
