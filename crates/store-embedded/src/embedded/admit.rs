//! Admission: turns a batch into rows of a table.
//!
//! A batch is admitted in three steps. [`TableState::plan`] decides whether each line is taken,
//! repeated or rejected, and changes nothing. [`Plan::build`] makes arrays and frames.
//! [`TableState::commit`] takes the rows, and cannot fail. An error or a panic in the first two
//! steps therefore has no effect on the table.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::vec;

use arrow::error::ArrowError;
use bytes::Bytes;
use streamtable_schema::{ColumnPolicy, TablePath, Timestamp};
use streamtable_store::{Batch, OnDuplicate, RejectedLine, check_writer};
use streamtable_wire::HistoryLine;
use streamtable_wire::binary::{LineReader, is_binary};
use tokio::task::JoinError;

use super::lines::{ContentHash, Placed, Writer};
use super::state::TableState;
use crate::columns::{AcceptedRow, AcceptedRows, ColumnMatch, Columns, FirstSeen, build};
use crate::log::Frame;
use crate::memtable::{Charge, MemBatch, Memory};
use crate::ranges::Ranges;
use crate::seeded_bug::step;

/// The result of parsing a line.
pub(super) type Parsed = Result<HistoryLine, String>;

/// The number of bytes of lines that justify a thread.
const THREAD_BYTES: usize = 64 << 10;

/// A batch is admitted in parts whose arrays take about this many bytes.
const MAX_PART_BYTES: usize = 16 << 20;

/// Parses the lines of a large batch on up to as many threads as there are processors.
pub(super) async fn parse_apart(lines: &[Bytes], bytes: usize) -> Result<Vec<Parsed>, JoinError> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let parts = (bytes / THREAD_BYTES).clamp(1, processors);
    let parts: Vec<_> = lines
        .chunks(lines.len().div_ceil(parts).max(1))
        .map(<[Bytes]>::to_vec)
        .map(|part| tokio::task::spawn_blocking(move || parse(&part)))
        .collect();
    let mut parsed = Vec::with_capacity(lines.len());
    for part in parts {
        parsed.extend(part.await?);
    }
    Ok(parsed)
}

/// Parses the lines of a batch. This is most of the work of an append, and needs no lock.
pub(super) fn parse(lines: &[Bytes]) -> Vec<Parsed> {
    let mut reader = LineReader::default();
    let read = |line: &Bytes| {
        if is_binary(line) {
            return reader.read(line).map_err(|error| error.to_string());
        }
        let text = std::str::from_utf8(line).map_err(|error| error.to_string())?;
        HistoryLine::parse(text).map_err(|error| format!("no row: {error}"))
    };
    lines.iter().map(read).collect()
}

/// The lines of a batch that were parsed and are not admitted yet.
#[derive(Debug)]
pub(super) struct Waiting {
    batch: Batch,
    parsed: vec::IntoIter<Parsed>,
}

impl Waiting {
    pub(super) fn new(batch: Batch, parsed: Vec<Parsed>) -> Self {
        Self { batch, parsed: parsed.into_iter() }
    }

    pub(super) fn table(&self) -> &TablePath {
        &self.batch.table
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parsed.len() == 0
    }

    /// Returns the index of the next line and the parsed row, or the reason why it cannot be
    /// parsed.
    fn next(&mut self) -> Option<(usize, Parsed)> {
        let index = self.batch.lines.len() - self.parsed.len();
        Some((index, self.parsed.next()?))
    }
}

/// A decision on lines that changes nothing yet.
#[derive(Debug)]
pub(super) struct Plan {
    /// The columns of the table with those that the rows add.
    columns: Arc<Columns>,
    rows: AcceptedRows,
    frames: Vec<Frame>,
    group: Group,
    repeated: u64,
    rejected: Vec<RejectedLine>,
    failures: u64,
}

/// Lines that are ready to be committed and submitted to the log.
#[derive(Debug)]
pub(super) struct Admitted {
    /// The encoded frames; none if no row is taken.
    pub(super) frames: Vec<Vec<u8>>,
    pub(super) group: Group,
    pub(super) columns: Arc<Columns>,
    pub(super) repeated: u64,
    pub(super) rejected: Vec<RejectedLine>,
    /// The table's count of log failures at the time when the lines were looked up.
    pub(super) failures: u64,
}

/// Rows that the table takes together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) positions: Range<u64>,
    pub(super) writers: Vec<WriterLines>,
    pub(super) batches: Vec<(MemBatch, Charge)>,
    pub(super) received_at: Timestamp,
    pub(super) last_step: Option<i64>,
}

/// The lines of one writer in a group.
#[derive(Debug)]
pub(super) struct WriterLines {
    pub(super) writer: Arc<str>,
    pub(super) numbers: Ranges,
    /// The same lines with positions and contents, if they may be overwritten.
    pub(super) placed: Vec<Placed>,
}

impl Group {
    fn new(position: u64, received_at: Timestamp) -> Self {
        let (writers, batches) = (Vec::new(), Vec::new());
        Self { positions: position..position, writers, batches, received_at, last_step: None }
    }

    /// Returns how many rows there are.
    pub(super) fn rows(&self) -> u64 {
        self.batches.iter().map(|(rows, _)| rows.batch.num_rows() as u64).sum()
    }

    /// Builds the arrays of the rows.
    fn build(
        &mut self,
        columns: &Columns,
        rows: &AcceptedRows,
        memory: &Arc<Memory>,
    ) -> Result<(), ArrowError> {
        let charged = |rows: MemBatch| {
            let charge = memory.charge(rows.batch.get_array_memory_size());
            (rows, charge)
        };
        self.batches = build(columns, rows)?.into_iter().map(charged).collect();
        Ok(())
    }
}

impl Plan {
    /// Returns an estimate of the bytes that the arrays will take.
    pub(super) fn array_bytes(&self) -> usize {
        self.rows.array_bytes()
    }

    /// Builds arrays and frames.
    pub(super) fn build(mut self, memory: &Arc<Memory>) -> Result<Admitted, ArrowError> {
        self.group.build(&self.columns, &self.rows, memory)?;
        step()?;
        let frames = self.frames.iter().map(Frame::encode).collect();
        step()?;
        let Self { group, columns, repeated, rejected, failures, .. } = self;
        Ok(Admitted { frames, group, columns, repeated, rejected, failures })
    }

    /// Adds a row to the frame and the lines of its writer.
    fn take(&mut self, batch: &Batch, writer: usize, line: u64, text: &Bytes, position: u64) {
        let lines = &mut self.group.writers[writer];
        // Line numbers are less than 2⁶³.
        lines.numbers.add(line..line + 1);
        self.group.positions.end = position + 1;
        match self.frames.last_mut().filter(|frame| *frame.writer == *lines.writer) {
            Some(frame) => frame.rows.push((line, text.clone())),
            None => self.frames.push(Frame {
                table: batch.table.clone(),
                writer: lines.writer.to_string(),
                on_duplicate: batch.on_duplicate,
                received_at: batch.received_at,
                first_position: position,
                rows: vec![(line, text.clone())],
            }),
        }
    }
}

/// The writers of the current lines, and the state of each in the table.
#[derive(Default)]
struct Writers<'a> {
    known: Vec<Option<&'a Writer>>,
    by_id: HashMap<Arc<str>, usize>,
    last: Option<usize>,
}

impl<'a> Writers<'a> {
    /// Returns the index of a writer. A new writer is added to the plan.
    fn index(&mut self, state: &'a TableState, plan: &mut Plan, id: &str) -> usize {
        let last = self.last.filter(|&last| *plan.group.writers[last].writer == *id);
        let found = last.or_else(|| self.by_id.get(id).copied());
        let index = found.unwrap_or_else(|| {
            let known = state.writer(id);
            let id = known.map_or_else(|| Arc::from(id), |(id, _)| Arc::clone(id));
            self.known.push(known.map(|(_, writer)| writer));
            let index = plan.rows.add_writer(Arc::clone(&id));
            self.by_id.insert(Arc::clone(&id), index);
            let (numbers, placed) = (Ranges::default(), Vec::new());
            plan.group.writers.push(WriterLines { writer: id, numbers, placed });
            index
        });
        self.last = Some(index);
        index
    }
}

impl TableState {
    /// Decides whether each line is taken, repeated or rejected, until one part of a batch is full.
    pub(super) fn plan(&self, waiting: &mut Waiting) -> Result<Plan, ArrowError> {
        step()?;
        let mut plan = Plan {
            columns: Arc::clone(&self.columns),
            rows: AcceptedRows::default(),
            frames: Vec::new(),
            group: Group::new(self.next_position, waiting.batch.received_at),
            repeated: 0,
            rejected: Vec::new(),
            failures: self.failures,
        };
        let mut writers = Writers::default();
        let mut fit = ColumnMatch::default();
        while plan.array_bytes() < MAX_PART_BYTES
            && let Some((index, parsed)) = waiting.next()
        {
            step()?;
            let batch = &waiting.batch;
            let text = &batch.lines[index];
            // The store has checked the number of the last line.
            let line = batch.first_line.get() + index as u64;
            let mut parsed = match parsed {
                Ok(parsed) => parsed,
                Err(reason) => {
                    plan.rejected.push(RejectedLine { line, reason });
                    continue;
                }
            };
            let writer = match batch.on_duplicate {
                OnDuplicate::Replace => batch.writer.as_str(),
                OnDuplicate::Ignore => {
                    let writer = parsed.writer.as_deref().unwrap_or(&batch.writer);
                    if let Err(error) = check_writer(&batch.table, writer) {
                        plan.rejected.push(RejectedLine { line, reason: error.to_string() });
                        continue;
                    }
                    writer
                }
            };
            let writer = writers.index(self, &mut plan, writer);
            let known = writers.known[writer];
            let position = plan.group.positions.end;
            let placed = match batch.on_duplicate {
                OnDuplicate::Ignore => None,
                OnDuplicate::Replace => {
                    Some(Placed { line, content: ContentHash::of(text), position })
                }
            };
            let is_repeated = known.is_some_and(|known| match placed {
                None => known.seen.contains(line),
                Some(it) => known.places.as_ref().is_some_and(|at| at.is_same(line, it.content)),
            });
            if is_repeated {
                plan.repeated += 1;
                continue;
            }
            let at = plan.columns.row_time(&mut parsed, position, batch.received_at);
            if let Err(error) = plan.columns.fit(&parsed.row, batch.columns, &mut fit) {
                plan.rejected.push(RejectedLine { line, reason: error.to_string() });
                continue;
            }
            if fit.is_growth() {
                step()?;
                Arc::make_mut(&mut plan.columns).grow(&mut fit, FirstSeen { position, at });
            }
            parsed.writer = None;
            plan.group.last_step = plan.group.last_step.max(parsed.step);
            plan.group.writers[writer].placed.extend(placed);
            plan.take(batch, writer, line, text, position);
            let row = AcceptedRow { position, line, at: at.as_micros(), writer, parsed };
            plan.rows.push(&mut plan.columns, &fit, row, text.len());
        }
        plan.group.writers.retain(|lines| lines.numbers.end() > 0);
        Ok(plan)
    }

    /// Restores the rows of a log frame, except those that are already in the table.
    pub(super) fn replay(
        &mut self,
        frame: &Frame,
        memory: &Arc<Memory>,
    ) -> Result<Option<Group>, ArrowError> {
        let texts: Vec<Bytes> = frame.rows.iter().map(|(_, text)| text.clone()).collect();
        let writer = self.writer_id(&frame.writer);
        let (mut fit, mut rows) = (ColumnMatch::default(), AcceptedRows::default());
        rows.add_writer(Arc::clone(&writer));
        let first = frame.first_position;
        let mut group = Group::new(first, frame.received_at);
        let mut placed_rows = Vec::new();
        // Frames between them are damaged or were given up: their positions are empty.
        if self.next_position < first {
            self.deleted.add(self.next_position..first);
        }
        for (i, (parsed, (line, text))) in parse(&texts).into_iter().zip(&frame.rows).enumerate() {
            let (line, position) = (*line, first + i as u64);
            let is_once = frame.on_duplicate == OnDuplicate::Ignore;
            let placed =
                (!is_once).then(|| Placed { line, content: ContentHash::of(text), position });
            if position < self.state_upto {
                if let Some(placed) = placed {
                    self.learn(&writer, placed);
                }
                continue;
            }
            let is_new = !is_once || !self.has(&writer, line);
            self.see(&writer, line);
            let is_flushed = position < self.flushed_upto;
            if !is_new && !is_flushed {
                self.deleted.add(position..position + 1);
                continue;
            }
            // The frame's lines were parsed once before, so this happens only if the checksum
            // missed damage.
            let Ok(mut parsed) = parsed else { continue };
            let at = self.columns.row_time(&mut parsed, position, frame.received_at);
            if self.columns.fit(&parsed.row, ColumnPolicy::Evolve, &mut fit).is_err() {
                continue;
            }
            if fit.is_growth() {
                Arc::make_mut(&mut self.columns).grow(&mut fit, FirstSeen { position, at });
            }
            if is_flushed {
                self.note(frame.received_at, parsed.step);
                if let Some(placed) = placed {
                    self.put_again(&writer, placed);
                }
                continue;
            }
            group.last_step = group.last_step.max(parsed.step);
            group.positions.end = position + 1;
            placed_rows.extend(placed);
            let row = AcceptedRow { position, line, at: at.as_micros(), writer: 0, parsed };
            rows.push(&mut self.columns, &fit, row, text.len());
        }
        self.next_position = self.next_position.max(first + frame.rows.len() as u64);
        if rows.is_empty() {
            return Ok(None);
        }
        group.build(&self.columns, &rows, memory)?;
        // Its lines are already recorded as seen, and none of them is pending.
        let (numbers, placed) = (Ranges::default(), placed_rows);
        group.writers.push(WriterLines { writer, numbers, placed });
        Ok(Some(group))
    }
}

#[cfg(test)]
mod tests;
