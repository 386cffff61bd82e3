//! Where lines wait until the backend has them.

use std::collections::VecDeque;
use std::fmt;

use crate::lines::{Block, Lines};
use crate::spool::journal::SpoolJournal;

/// Keeps one writer's lines, in order, until they are acked.
///
/// Lines are numbered from 0. Whoever calls holds a lock, so nothing here should take long: a
/// journal on disk writes to memory that the system flushes, or bounds what it does not.
pub trait Journal: fmt::Debug + Send {
    /// Appends a line behind the others. After `Ok` it is as safe as the journal makes lines.
    ///
    /// After an error the journal is as before.
    fn append(&mut self, line: &[u8]) -> Result<(), JournalError>;

    /// Returns the lines from number `first` on: at least one, at most `max_lines`, and no more
    /// than `max_bytes` unless the first alone has more.
    ///
    /// `first` is neither trimmed nor behind the last line.
    fn read(
        &mut self,
        first: u64,
        max_lines: usize,
        max_bytes: usize,
    ) -> Result<Lines, JournalError>;

    /// Forgets all lines before number `line`: they are settled, and will not be read again.
    fn trim(&mut self, line: u64) -> Result<(), JournalError>;
}

/// Why a journal did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// There is no room for the line.
    #[error("{bytes} of {limit} bytes are in use")]
    Full {
        /// How many bytes are in use.
        bytes: u64,
        /// How many may be.
        limit: u64,
    },
    /// There will never be room for the line.
    #[error("a line of {bytes} bytes is longer than the {limit} that may be")]
    TooLong {
        /// How many bytes the line has.
        bytes: u64,
        /// How many it may have.
        limit: u64,
    },
    /// The system failed.
    #[error("{reason}")]
    Io {
        /// What it said.
        reason: String,
    },
}

/// The journal of a table: the spool, or any other.
#[derive(Debug)]
pub(crate) enum Kept {
    Plain(Box<dyn Journal>),
    Spool(Box<SpoolJournal>),
}

impl Kept {
    pub(crate) fn journal(&mut self) -> &mut dyn Journal {
        match self {
            Self::Plain(journal) => &mut **journal,
            Self::Spool(spool) => &mut **spool,
        }
    }

    pub(crate) fn spool(&mut self) -> Option<&mut SpoolJournal> {
        match self {
            Self::Plain(_) => None,
            Self::Spool(spool) => Some(spool),
        }
    }
}

/// What each line costs beside its bytes.
const LINE_OVERHEAD: u64 = size_of::<usize>() as u64;

/// Lines come together in blocks of this many bytes, which are shared with the driver whole.
const BLOCK_BYTES: usize = 256 << 10;

/// A journal in memory: as safe as the process is.
///
/// Counts a line's bytes and the few that it costs to find it; refuses a line that would go beyond
/// its limit.
pub struct MemoryJournal {
    limit: u64,
    /// Bytes of the lines that are not settled.
    bytes: u64,
    /// The number of the first line of the first block.
    first: u64,
    /// How many lines of the first block are settled.
    settled: usize,
    blocks: VecDeque<Block>,
    /// The block that still grows.
    tail: Vec<u8>,
    tail_ends: Vec<usize>,
}

impl MemoryJournal {
    /// Makes a journal that holds at most `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            bytes: 0,
            first: 0,
            settled: 0,
            blocks: VecDeque::new(),
            tail: Vec::new(),
            tail_ends: Vec::new(),
        }
    }

    /// The number of the first line that is here.
    pub(crate) fn first(&self) -> u64 {
        self.first + self.settled as u64
    }

    /// What the lines take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The end of the oldest block, of which there are more than the one that grows.
    pub(crate) fn oldest_end(&self) -> Option<u64> {
        self.blocks.front().map(|block| self.first + block.len() as u64)
    }

    fn sealed_lines(&self) -> usize {
        self.blocks.iter().map(Block::len).sum()
    }

    fn seal(&mut self) {
        if !self.tail_ends.is_empty() {
            let bytes = std::mem::take(&mut self.tail);
            let ends = std::mem::take(&mut self.tail_ends);
            self.blocks.push_back(Block::new(bytes, ends));
        }
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, line: &[u8]) -> Result<(), JournalError> {
        let bytes = line.len() as u64;
        let cost = bytes + LINE_OVERHEAD;
        if cost > self.limit {
            let limit = self.limit.saturating_sub(LINE_OVERHEAD);
            return Err(JournalError::TooLong { bytes, limit });
        }
        if self.bytes + cost > self.limit {
            return Err(JournalError::Full { bytes: self.bytes, limit: self.limit });
        }
        if self.tail.len() + line.len() > BLOCK_BYTES {
            self.seal();
        }
        self.tail.extend_from_slice(line);
        self.tail_ends.push(self.tail.len());
        self.bytes += cost;
        Ok(())
    }

    fn read(
        &mut self,
        first: u64,
        max_lines: usize,
        max_bytes: usize,
    ) -> Result<Lines, JournalError> {
        let mut lines = Lines::default();
        let (mut room, mut bytes_left) = (max_lines.max(1), max_bytes);
        let mut skip = usize::try_from(first - self.first).unwrap_or(usize::MAX);
        // What is read is shared with the reader, so it must not grow any more.
        if skip.saturating_add(room) > self.sealed_lines() {
            self.seal();
        }
        for block in &self.blocks {
            if skip >= block.len() {
                skip -= block.len();
                continue;
            }
            let fitting = block.fit(skip, bytes_left).min(room);
            let count = if lines.is_empty() { fitting.max(1) } else { fitting };
            lines.push(block, skip..skip + count);
            room -= count;
            let bytes = block.start(skip + count) - block.start(skip);
            let Some(left) = bytes_left.checked_sub(bytes) else { break };
            bytes_left = left;
            if skip + count < block.len() || room == 0 {
                break;
            }
            skip = 0;
        }
        Ok(lines)
    }

    fn trim(&mut self, line: u64) -> Result<(), JournalError> {
        let mut settled = usize::try_from(line - self.first).unwrap_or(usize::MAX);
        if settled > self.sealed_lines() {
            self.seal();
        }
        while let Some(block) = self.blocks.front() {
            let until = settled.min(block.len());
            let freed = block.start(until) - block.start(self.settled);
            self.bytes -= freed as u64 + (until - self.settled) as u64 * LINE_OVERHEAD;
            self.settled = until;
            if until < block.len() {
                break;
            }
            settled -= until;
            self.first += until as u64;
            self.settled = 0;
            self.blocks.pop_front();
        }
        Ok(())
    }
}

impl fmt::Debug for MemoryJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, bytes, .. } = self;
        write!(f, "MemoryJournal({bytes} of {limit} bytes)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Op {
        Append(usize),
        Read { ahead: u64, max_lines: usize, max_bytes: usize },
        Trim(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => prop_oneof![0usize..300, 100_000usize..300_000].prop_map(Op::Append),
            2 => (0u64..20, 0usize..50, 0usize..400_000).prop_map(|(ahead, max_lines, max_bytes)| {
                Op::Read { ahead, max_lines, max_bytes }
            }),
            2 => (0u64..20).prop_map(Op::Trim),
        ]
    }

    #[test]
    fn a_line_beyond_the_limit_is_read_alone() {
        let mut journal = MemoryJournal::new(1000);
        journal.append(b"long").unwrap();
        assert_eq!(journal.read(0, 1, 1).unwrap().len(), 1);
        // An empty one needs no room, and lies in a block of its own.
        journal.append(b"").unwrap();
        assert_eq!(journal.read(0, 2, 1).unwrap().len(), 1);
        assert_eq!(journal.read(0, 2, 4).unwrap().len(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// A journal is a queue of lines, whatever its blocks.
        #[test]
        fn behaves_as_a_queue(ops in prop::collection::vec(op(), 0..60)) {
            const LIMIT: u64 = 2 << 20;
            let mut journal = MemoryJournal::new(LIMIT);
            let (mut model, mut first) = (VecDeque::<Vec<u8>>::new(), 0);
            for (n, op) in ops.into_iter().enumerate() {
                let cost = |line: &Vec<u8>| line.len() as u64 + LINE_OVERHEAD;
                match op {
                    Op::Append(len) => {
                        let line = vec![n as u8; len];
                        let used: u64 = model.iter().map(cost).sum();
                        let fits = used + cost(&line) <= LIMIT;
                        prop_assert_eq!(journal.append(&line).is_ok(), fits);
                        if fits {
                            model.push_back(line);
                        }
                    }
                    Op::Read { ahead, max_lines, max_bytes } => {
                        let skip = ahead as usize;
                        if skip >= model.len() {
                            continue;
                        }
                        let lines = journal.read(first + ahead, max_lines, max_bytes).unwrap();
                        let mut expected = Vec::new();
                        let mut bytes = 0;
                        for line in model.iter().skip(skip) {
                            bytes += line.len();
                            let over = expected.len() >= max_lines.max(1) || bytes > max_bytes;
                            if over && !expected.is_empty() {
                                break;
                            }
                            expected.push(line.as_slice());
                        }
                        prop_assert_eq!(lines.len(), expected.len());
                        prop_assert_eq!(lines.bytes(), expected.iter().map(|l| l.len()).sum::<usize>());
                        prop_assert!(lines.iter().eq(expected));
                    }
                    Op::Trim(count) => {
                        let count = count.min(model.len() as u64);
                        first += count;
                        model.drain(..count as usize);
                        journal.trim(first).unwrap();
                    }
                }
                prop_assert_eq!(journal.bytes, model.iter().map(cost).sum::<u64>());
            }
        }
    }
}
