//! The queue of lines that wait for the backend.

use std::collections::VecDeque;
use std::fmt;

use crate::lines::{Block, Lines};
use crate::spool::journal::SpoolJournal;

/// Stores one writer's lines, in order, until they are acked.
///
/// Lines are numbered from 0. The caller holds a lock, so no method should block for long: a
/// journal on disk writes to memory that the operating system flushes, or limits the work that it
/// does itself.
pub trait Journal: fmt::Debug + Send {
    /// Appends a line. After `Ok`, the line is as durable as the journal makes lines.
    ///
    /// After an error the journal is unchanged.
    fn append(&mut self, line: &[u8]) -> Result<(), JournalError>;

    /// Returns the lines starting at `first`: at least one, at most `max_lines`, and at most
    /// `max_bytes` unless the first line alone is larger.
    ///
    /// `first` must be a line that is stored and not trimmed.
    fn read(
        &mut self,
        first: u64,
        max_lines: usize,
        max_bytes: usize,
    ) -> Result<Lines, JournalError>;

    /// Removes all lines before `line`: they are settled and will not be read again.
    fn trim(&mut self, line: u64) -> Result<(), JournalError>;
}

/// Why a journal operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// There is no space for the line now.
    #[error("{bytes} of {limit} bytes are in use")]
    Full {
        /// The bytes in use.
        bytes: u64,
        /// The maximum.
        limit: u64,
    },
    /// The line is larger than the journal allows.
    #[error("a line of {bytes} bytes exceeds the limit of {limit} bytes")]
    TooLong {
        /// The size of the line.
        bytes: u64,
        /// The maximum.
        limit: u64,
    },
    /// An I/O error.
    #[error("{reason}")]
    Io {
        /// The message of the operating system.
        reason: String,
    },
}

/// The journal of a table: the spool or another one.
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

/// Memory per line in addition to its bytes.
const LINE_OVERHEAD: u64 = size_of::<usize>() as u64;

/// Size of the blocks in which lines are stored. The driver reads blocks without copying.
const BLOCK_BYTES: usize = 256 << 10;

/// A journal in memory. Its lines are lost when the process ends.
///
/// The limit includes the bytes of the lines and a small overhead per line. A line that would
/// exceed the limit is refused.
pub struct MemoryJournal {
    limit: u64,
    /// Size of the unsettled lines in bytes.
    bytes: u64,
    /// The number of the first line of the first block.
    first: u64,
    /// Number of settled lines in the first block.
    settled: usize,
    blocks: VecDeque<Block>,
    /// The block to which lines are appended.
    tail: Vec<u8>,
    tail_ends: Vec<usize>,
}

impl MemoryJournal {
    /// Creates a journal of at most `limit` bytes.
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

    /// Returns the number of the first stored line.
    pub(crate) fn first(&self) -> u64 {
        self.first + self.settled as u64
    }

    /// Returns the memory that the lines use.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the end of the oldest block, if there is one besides the block that is still
    /// growing.
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
        // Lines that are read are shared with the reader, so their block must not change any more.
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
    fn a_line_larger_than_the_limit_is_read_alone() {
        let mut journal = MemoryJournal::new(1000);
        journal.append(b"long").unwrap();
        assert_eq!(journal.read(0, 1, 1).unwrap().len(), 1);
        // An empty line fits any limit, but it is in another block.
        journal.append(b"").unwrap();
        assert_eq!(journal.read(0, 2, 1).unwrap().len(), 1);
        assert_eq!(journal.read(0, 2, 4).unwrap().len(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// A journal is a queue of lines, however they are divided into blocks.
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
