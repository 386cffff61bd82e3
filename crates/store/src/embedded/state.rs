//! What a table is at a moment.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use streamtable_schema::{TablePath, Timestamp};

use super::admit::Group;
use super::lines::{Placed, StoredWriter, Writer};
use crate::columns::{Columns, StoredColumn};
use crate::live::Live;
use crate::log::SegmentId;
use crate::ranges::Ranges;
use crate::seeded_bug::{Bug, is_seeded};
use crate::{Problem, TableInfo, TableSummary};

/// How many problems of a table are remembered.
const MAX_PROBLEMS: usize = 100;

/// What a table is at a moment. Whoever looks at it holds its lock.
#[derive(Debug, Default)]
pub(super) struct TableState {
    pub(super) columns: Arc<Columns>,
    writers: HashMap<Arc<str>, Writer>,
    /// The position of the next row that is taken.
    pub(super) next_position: u64,
    /// Rows before this one are durable, or gone.
    pub(super) end: u64,
    /// Rows before this one are at rest.
    pub(super) flushed: u64,
    /// Rows before this one are told by the state that was read, columns and lines included.
    pub(super) known: u64,
    /// Positions that hold no row, though memory or files may have one.
    pub(super) dead: Ranges,
    /// How many positions are empty in memory and at rest.
    pub(super) empty: u64,
    pub(super) live: Live,
    pub(super) files: Arc<Vec<DataFile>>,
    /// How often the log failed this table.
    pub(super) failures: u64,
    pub(super) created_at: Option<Timestamp>,
    pub(super) last_write: Option<Timestamp>,
    pub(super) last_step: Option<i64>,
    /// The version of the Delta table that `files` are of.
    pub(super) version: Option<u64>,
    /// Whether the state on disk lacks something that must be written before the log is trimmed: a
    /// commit that was found, a file that was set aside.
    pub(super) is_unwritten: bool,
    /// How often the state was written.
    pub(super) writes: u64,
    /// Whether a copy of the state on disk is damaged, so that both must be written.
    pub(super) is_copy_damaged: bool,
    /// The oldest log file that has rows of this table which are not flushed.
    pub(super) oldest_segment: Option<SegmentId>,
    /// Damage that was found in the table's files.
    pub(super) problems: Vec<Problem>,
}

/// A file of rows at rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DataFile {
    /// Its name in the table's folder.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    /// The position of its first row.
    pub(crate) first: u64,
    /// One more than the position of its last row.
    pub(crate) end: u64,
    /// The CRC32C of its bytes.
    pub(crate) crc: u32,
}

impl DataFile {
    /// Names a file by its content, so that its name alone says what it holds: the range of
    /// positions, the number of rows, the checksum of all bytes, a unique number, and where the
    /// file's metadata begins, with their checksum.
    pub(super) fn name(
        rows: u64,
        span: std::ops::Range<u64>,
        crc: u32,
        unique: uuid::Uuid,
        tail: Tail,
    ) -> String {
        let (first, end, unique) = (span.start, span.end, unique.simple());
        let Tail { start, crc: tail_crc } = tail;
        format!(
            "part-{first:012}-{end:012}-{rows}-{crc:08x}-{unique}-{start:x}-{tail_crc:08x}.parquet"
        )
    }

    /// Parses what [`name`](Self::name) returns. Files of earlier versions have no [`tail`](Self::tail).
    pub(crate) fn from_name(name: &str, bytes: u64) -> Option<Self> {
        let mut parts = name.strip_prefix("part-")?.strip_suffix(".parquet")?.split('-');
        let mut next = || parts.next();
        let (first, end, rows): (u64, u64, u64) =
            (next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?);
        let crc = u32::from_str_radix(next()?, 16).ok()?;
        let is_possible = first < end && rows <= end - first;
        is_possible.then(|| Self { name: name.to_owned(), bytes, rows, first, end, crc })
    }

    /// Returns where the file's metadata begins, and their checksum.
    pub(crate) fn tail(&self) -> Option<Tail> {
        let mut parts = self.name.strip_suffix(".parquet")?.split('-').skip(6);
        let start = u64::from_str_radix(parts.next()?, 16).ok()?;
        let crc = u32::from_str_radix(parts.next()?, 16).ok()?;
        Some(Tail { start, crc })
    }
}

/// The part of a file behind its rows: indexes and metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Where it begins.
    pub(crate) start: u64,
    /// The CRC32C of its bytes.
    pub(crate) crc: u32,
}

impl TableState {
    /// Returns a writer's id as one text for all its rows.
    pub(super) fn writer_id(&mut self, id: &str) -> Arc<str> {
        if let Some((id, _)) = self.writers.get_key_value(id) {
            return Arc::clone(id);
        }
        let id: Arc<str> = id.into();
        self.writers.insert(Arc::clone(&id), Writer::default());
        id
    }

    pub(super) fn has(&self, writer: &str, line: u64) -> bool {
        self.writers.get(writer).is_some_and(|it| it.seen.contains(line))
    }

    /// Returns a writer and its id, if it has any line here.
    pub(super) fn writer(&self, id: &str) -> Option<(&Arc<str>, &Writer)> {
        self.writers.get_key_value(id)
    }

    pub(super) fn see(&mut self, writer: &Arc<str>, line: u64) {
        let writer = self.writers.entry(Arc::clone(writer)).or_default();
        // A number that has no successor is in no frame.
        writer.seen.add(line..line.saturating_add(1));
    }

    /// Takes the rows of a group, which is submitted to the log next. Cannot fail: all that can was
    /// done to make the group.
    pub(super) fn commit(&mut self, columns: Arc<Columns>, group: &Group) {
        self.columns = columns;
        self.next_position = group.positions.end;
        for lines in &group.writers {
            let writer = self.writers.entry(Arc::clone(&lines.writer)).or_default();
            writer.seen.add_all(&lines.numbers);
            writer.pending.add_all(&lines.numbers);
            for &placed in &lines.placed {
                writer.places.get_or_insert_default().submit(placed);
            }
        }
    }

    pub(super) fn next_line(&self, writer: &str) -> u64 {
        self.writers.get(writer).map_or(0, |it| it.seen.end())
    }

    /// Shows rows that are durable now.
    pub(super) fn publish(&mut self, group: Group) {
        for lines in &group.writers {
            let writer = self.writers.entry(Arc::clone(&lines.writer)).or_default();
            writer.pending.remove_all(&lines.numbers);
            for &placed in &lines.placed {
                let places = writer.places.get_or_insert_default();
                places.settle(placed);
                if let Some(old) = places.put(placed) {
                    self.dead.add(old..old + 1);
                }
            }
        }
        self.end = self.end.max(group.positions.end);
        self.note(group.received_at, group.last_step);
        for (rows, charge) in group.batches {
            self.live.push(rows, charge);
        }
    }

    /// Remembers when rows came, and how far they count their steps.
    pub(super) fn note(&mut self, received_at: Timestamp, step: Option<i64>) {
        self.created_at.get_or_insert(received_at);
        self.last_write = self.last_write.max(Some(received_at));
        self.last_step = self.last_step.max(step);
    }

    /// Puts a line that is flushed at the position that the log has for it.
    pub(super) fn put_again(&mut self, writer: &Arc<str>, placed: Placed) {
        let writer = self.writers.entry(Arc::clone(writer)).or_default();
        writer.places.get_or_insert_default().put(placed);
    }

    /// Takes the content of a line that the state knows from the log.
    pub(super) fn learn(&mut self, writer: &Arc<str>, placed: Placed) {
        let writer = self.writers.entry(Arc::clone(writer)).or_default();
        writer.places.get_or_insert_default().learn(placed);
    }

    /// Forgets rows that did not become durable: their places stay empty, and they may come again.
    pub(super) fn give_up(&mut self, group: &Group) {
        for lines in &group.writers {
            let Some(writer) = self.writers.get_mut(&lines.writer) else { continue };
            writer.pending.remove_all(&lines.numbers);
            writer.seen.remove_all(&lines.numbers);
            for &placed in &lines.placed {
                writer.places.get_or_insert_default().settle(placed);
            }
        }
        self.dead.add(group.positions.clone());
        self.end = self.end.max(group.positions.end);
    }

    /// Returns how many rows there are.
    pub(super) fn rows(&self) -> u64 {
        self.end - self.empty - self.dead.count_within(0..self.end)
    }

    /// Returns how many bytes the rows take in memory.
    pub(super) fn live_bytes(&self) -> usize {
        self.live.bytes()
    }

    pub(super) fn summary(&self, path: &TablePath) -> Option<TableSummary> {
        let at_rest: u64 = self.files.iter().map(|file| file.bytes).sum();
        Some(TableSummary {
            path: path.clone(),
            rows: self.rows(),
            bytes: at_rest + self.live_bytes() as u64,
            created_at: self.created_at?,
            last_write: self.last_write?,
            problems: self.problems.clone(),
        })
    }

    /// Remembers a problem, unless it is known.
    pub(super) fn report(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) && self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    /// Learns from a flushed row that its line is stored. Returns the position of the row that it
    /// replaced, if it is of a writer whose lines may be written again.
    pub(super) fn note_line(&mut self, writer: &str, line: u64, position: u64) -> Option<u64> {
        let id = self.writer_id(writer);
        let writer = self.writers.entry(id).or_default();
        // Which kind of writer it is shows only later; places do no harm to the other kind.
        let may_replace = writer.places.is_some() || writer.seen.end() == 0;
        writer.seen.add(line..line.saturating_add(1));
        may_replace.then(|| writer.places.get_or_insert_default().place(line, position))?
    }

    pub(super) fn info(&self, path: &TablePath) -> Option<TableInfo> {
        Some(TableInfo {
            summary: self.summary(path)?,
            end: self.end,
            columns: self.columns.infos(),
            has_steps: self.last_step.is_some(),
            last_step: self.last_step,
        })
    }

    /// Returns what must be known to go on after a restart once all rows before `end` are at rest;
    /// the log tells the others.
    pub(super) fn to_stored(&self, path: &TablePath) -> StoredState {
        let mut writers: Vec<StoredWriter> =
            self.writers.iter().map(|(id, writer)| writer.to_stored(id)).collect();
        writers.sort_by(|a, b| a.id.cmp(&b.id));
        StoredState {
            format: FORMAT,
            table: [path.entity(), path.project(), path.table()].map(str::to_owned),
            columns: self.columns.to_stored(),
            writers,
            flushed: self.end,
            dead: self.dead.clone(),
            empty: self.empty,
            files: (*self.files).clone(),
            created_at: self.created_at.map(Timestamp::as_micros),
            last_write: self.last_write.map(Timestamp::as_micros),
            last_step: self.last_step,
            version: self.version,
            problems: self.problems.clone(),
        }
    }

    pub(super) fn from_stored(stored: StoredState) -> Self {
        let is_known = |_: &StoredWriter| !is_seeded(Bug::ForgottenLines);
        let writers = stored.writers.into_iter().filter(is_known).map(|writer| {
            let (id, writer) = Writer::from_stored(writer);
            (id.into(), writer)
        });
        Self {
            columns: Arc::new(Columns::from_stored(stored.columns)),
            writers: writers.collect(),
            next_position: stored.flushed,
            end: stored.flushed,
            flushed: stored.flushed,
            known: stored.flushed,
            dead: stored.dead,
            empty: stored.empty,
            files: Arc::new(stored.files),
            created_at: stored.created_at.map(Timestamp::from_micros),
            last_write: stored.last_write.map(Timestamp::from_micros),
            last_step: stored.last_step,
            version: stored.version,
            problems: stored.problems,
            ..Self::default()
        }
    }

    /// Returns whether something is in memory that should be flushed.
    pub(super) fn is_dirty(&self) -> bool {
        self.is_unwritten
            || !self.live.is_empty()
            || self.dead.within(0..self.flushed).next().is_some()
    }
}

/// The version of the file that [`StoredState`] is.
const FORMAT: u32 = 2;

/// A table's state as it is written down when rows were put to rest.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredState {
    format: u32,
    table: [String; 3],
    columns: Vec<StoredColumn>,
    writers: Vec<StoredWriter>,
    pub(super) flushed: u64,
    pub(super) dead: Ranges,
    pub(super) empty: u64,
    pub(super) files: Vec<DataFile>,
    created_at: Option<i64>,
    last_write: Option<i64>,
    last_step: Option<i64>,
    pub(super) version: Option<u64>,
    #[serde(default)]
    pub(super) problems: Vec<Problem>,
}

impl StoredState {
    /// Returns whether a later version of this program wrote it.
    pub(super) fn is_newer(&self) -> bool {
        self.format > FORMAT
    }

    /// Returns the table that it belongs to.
    pub(super) fn path(&self) -> Option<TablePath> {
        let [entity, project, table] = &self.table;
        TablePath::new(entity, project, table).ok()
    }
}
