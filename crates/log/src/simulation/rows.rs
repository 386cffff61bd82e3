//! The smallest store: lines of writers, each stored once and in order.

use bytes::Bytes;

use super::world::WRITERS;
use crate::{Decision, Fold};

/// Consecutive lines of a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) writer: u8,
    pub(super) first: u32,
    pub(super) count: u32,
}

impl Batch {
    pub(super) fn rows(self) -> impl Iterator<Item = (u8, u32)> {
        (self.first..self.first + self.count).map(move |line| (self.writer, line))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// All lines are stored.
    Stored,
    /// The lines do not follow on the writer's last one.
    Refused,
}

/// The rows of all writers, in the order of their positions.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    rows: Vec<(u8, u32)>,
    next: [u32; WRITERS],
}

impl Rows {
    pub(super) fn rows(&self) -> &[(u8, u32)] {
        &self.rows
    }
}

impl Fold for Rows {
    type Request = Batch;
    type Answer = Answer;

    fn apply(&mut self, _: u64, frame: &Bytes) {
        let Some((_, batch)) = decode(frame) else { return };
        self.rows.extend(batch.rows());
        self.next[usize::from(batch.writer)] = batch.first + batch.count;
    }

    fn skip(&mut self, _: u64) {}

    fn decide(&self, batch: &Batch) -> Decision<Answer> {
        let (next, end) = (self.next[usize::from(batch.writer)], batch.first + batch.count);
        if batch.first > next {
            Decision::Gap(Answer::Refused)
        } else if end <= next {
            Decision::Known(Answer::Stored)
        } else {
            let new = Batch { first: next, count: end - next, ..*batch };
            Decision::Append(encode(self.rows.len() as u64, new), Answer::Stored)
        }
    }
}

fn encode(position: u64, batch: Batch) -> Bytes {
    let mut bytes = position.to_le_bytes().to_vec();
    bytes.push(batch.writer);
    bytes.extend_from_slice(&batch.first.to_le_bytes());
    bytes.extend_from_slice(&batch.count.to_le_bytes());
    bytes.into()
}

/// Decodes a frame: the position of its first row, and its lines.
pub(super) fn decode(frame: &[u8]) -> Option<(u64, Batch)> {
    let (position, rest) = frame.split_first_chunk()?;
    let (&writer, rest) = rest.split_first()?;
    let (first, rest) = rest.split_first_chunk()?;
    let count = u32::from_le_bytes(rest.try_into().ok()?);
    let batch = Batch { writer, first: u32::from_le_bytes(*first), count };
    Some((u64::from_le_bytes(*position), batch))
}
