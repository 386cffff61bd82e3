//! From a batch to rows that a table takes.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use bytes::Bytes;
use streamtable_schema::{ColumnPolicy, Timestamp, Value};
use streamtable_wire::{HistoryLine, TIMESTAMP_COLUMN};
use tokio::task::JoinError;

use super::state::TableState;
use crate::columns::{BuildRow, Fit, Seen, build};
use crate::log::Frame;
use crate::{Batch, Numbering, RejectedLine};

/// A line that was read.
pub(super) type Parsed = Result<HistoryLine, String>;

/// Lines of so many bytes are worth a thread.
const PART_BYTES: usize = 64 << 10;

/// Reads the lines of a large batch on as many threads as there are processors and work for.
pub(super) async fn parse_apart(lines: &[Bytes], bytes: usize) -> Result<Vec<Parsed>, JoinError> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let parts = (bytes / PART_BYTES).clamp(1, processors);
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

/// Reads the lines of a batch. This is most of the work of an append, and needs no lock.
pub(super) fn parse(lines: &[Bytes]) -> Vec<Parsed> {
    let read = |line: &Bytes| {
        let text = std::str::from_utf8(line).map_err(|error| error.to_string())?;
        HistoryLine::parse(text).map_err(|error| format!("no row: {error}"))
    };
    lines.iter().map(read).collect()
}

/// What a table makes of a batch.
#[derive(Debug, Default)]
pub(super) struct Admitted {
    pub(super) groups: Vec<Group>,
    pub(super) repeated: u64,
    pub(super) rejected: Vec<RejectedLine>,
    /// Rows that nobody needs any more. To free them takes time, so not under the table's lock.
    pub(super) spent: Vec<Vec<BuildRow>>,
}

/// Rows of one writer that the table takes: for the log, and for memory.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) frame: Frame,
    pub(super) batch: RecordBatch,
    pub(super) last_step: Option<i64>,
}

/// Rows of one writer that follow one another.
struct Taken {
    writer: Arc<str>,
    rows: Vec<BuildRow>,
    lines: Vec<(u64, Bytes)>,
}

impl Taken {
    fn of(writer: Arc<str>) -> Self {
        Self { writer, rows: Vec::new(), lines: Vec::new() }
    }
}

impl TableState {
    /// Decides what becomes of each line. Rows that are taken count as seen from here on.
    pub(super) fn admit(
        &mut self,
        batch: &Batch,
        parsed: Vec<Parsed>,
    ) -> Result<Admitted, ArrowError> {
        let mut admitted = Admitted::default();
        let mut fit = Fit::default();
        let mut taken: Option<Taken> = None;
        for (i, (parsed, text)) in parsed.into_iter().zip(&batch.lines).enumerate() {
            let line = batch.first_line.saturating_add(i as u64);
            let mut parsed = match parsed {
                Ok(parsed) => parsed,
                Err(reason) => {
                    admitted.rejected.push(RejectedLine { line, reason });
                    continue;
                }
            };
            let writer = match (&parsed.writer, batch.numbering) {
                (Some(writer), Numbering::Once) => writer.as_str(),
                _ => batch.writer.as_str(),
            };
            let writer = self.writer_id(writer);
            if self.is_repeated(&writer, line, text, batch.numbering) {
                admitted.repeated += 1;
                continue;
            }
            if let Err(error) = self.columns.fit(&parsed.row, batch.columns, &mut fit) {
                admitted.rejected.push(RejectedLine { line, reason: error.to_string() });
                continue;
            }
            let at = logged_at(&parsed, batch.received_at);
            let position = self.next_position;
            self.next_position += 1;
            self.take(&writer, line);
            if fit.is_growth() {
                Arc::make_mut(&mut self.columns).grow(&mut fit, Seen { position, at });
            }
            parsed.writer = None;
            if taken.as_ref().is_some_and(|it| it.writer != writer) {
                self.close_group(batch, taken.take(), &mut admitted)?;
            }
            let taken = taken.get_or_insert_with(|| Taken::of(writer));
            let places = fit.places().to_vec();
            taken.rows.push(BuildRow { position, line, at: at.as_micros(), parsed, places });
            taken.lines.push((line, text.clone()));
        }
        self.close_group(batch, taken, &mut admitted)?;
        Ok(admitted)
    }

    /// Makes rows of a frame that was in the log, but for those that are there already.
    pub(super) fn replay(&mut self, frame: &Frame) -> Result<Option<Group>, ArrowError> {
        let texts: Vec<Bytes> = frame.rows.iter().map(|(_, text)| text.clone()).collect();
        let writer = self.writer_id(&frame.writer);
        let (mut fit, mut rows, mut lines) = (Fit::default(), Vec::new(), Vec::new());
        let first = frame.first_position;
        // What stood between is damaged, or was given up: its places are empty.
        if self.next_position < first {
            self.dead.add(self.next_position..first);
        }
        for (i, (parsed, (line, text))) in parse(&texts).into_iter().zip(&frame.rows).enumerate() {
            let position = first + i as u64;
            let is_once = frame.numbering == Numbering::Once;
            if position < self.known {
                if !is_once {
                    self.put_again(&writer, *line, text, position);
                }
                continue;
            }
            let is_new = !is_once || !self.has(&writer, *line);
            self.see(&writer, *line);
            let is_at_rest = position < self.flushed;
            if !is_new && !is_at_rest {
                self.dead.add(position..position + 1);
                continue;
            }
            // A frame holds what was taken once, so only damage beyond a checksum ends here.
            let Ok(parsed) = parsed else { continue };
            if self.columns.fit(&parsed.row, ColumnPolicy::Evolve, &mut fit).is_err() {
                continue;
            }
            let at = logged_at(&parsed, frame.received_at);
            if fit.is_growth() {
                Arc::make_mut(&mut self.columns).grow(&mut fit, Seen { position, at });
            }
            if is_at_rest {
                self.note(frame.received_at, parsed.step);
                if !is_once {
                    self.put_again(&writer, *line, text, position);
                }
                continue;
            }
            let places = fit.places().to_vec();
            rows.push(BuildRow { position, line: *line, at: at.as_micros(), parsed, places });
            lines.push((*line, text.clone()));
        }
        self.next_position = self.next_position.max(first + frame.rows.len() as u64);
        if rows.is_empty() {
            return Ok(None);
        }
        let last_step = rows.iter().filter_map(|row| row.parsed.step).max();
        let batch = build(&mut self.columns, &writer, &rows)?;
        Ok(Some(Group { frame: Frame { rows: lines, ..frame.clone() }, batch, last_step }))
    }

    fn close_group(
        &mut self,
        batch: &Batch,
        taken: Option<Taken>,
        admitted: &mut Admitted,
    ) -> Result<(), ArrowError> {
        let Some(Taken { writer, rows, lines }) = taken else { return Ok(()) };
        let frame = Frame {
            table: batch.table.clone(),
            writer: writer.to_string(),
            numbering: batch.numbering,
            received_at: batch.received_at,
            first_position: rows.first().map_or(0, |row| row.position),
            rows: lines,
        };
        let last_step = rows.iter().filter_map(|row| row.parsed.step).max();
        let batch = build(&mut self.columns, &writer, &rows)?;
        admitted.groups.push(Group { frame, batch, last_step });
        admitted.spent.push(rows);
        Ok(())
    }
}

/// When a row was logged: as its `timestamp` says, or the client beside it; otherwise when it came.
fn logged_at(parsed: &HistoryLine, received_at: Timestamp) -> Timestamp {
    match parsed.row.get(TIMESTAMP_COLUMN) {
        Some(Value::Timestamp(at)) => *at,
        _ => parsed.logged_at.unwrap_or(received_at),
    }
}
