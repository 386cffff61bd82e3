//! What a table is at a moment.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use streamtable_schema::{TablePath, Timestamp};

use super::admit::Group;
use super::lines::{Placed, StoredWriter, Writer};
use crate::columns::{Columns, StoredColumn};
use crate::live::Live;
use crate::ranges::Ranges;
use crate::seeded_bug::{Bug, is_seeded};
use crate::{TableInfo, TableSummary};

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
    /// Whether a commit was found that the state on disk does not know: it must be written before
    /// the log forgets.
    pub(super) is_unwritten: bool,
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
    /// Names a file by all that is told of it, so that its name alone says what it holds. The number
    /// at the end keeps it apart from any other that was ever written.
    pub(super) fn name(rows: u64, first: u64, end: u64, crc: u32, unique: uuid::Uuid) -> String {
        format!("part-{first:012}-{end:012}-{rows}-{crc:08x}-{}.parquet", unique.simple())
    }

    /// Reads what [`name`](Self::name) says.
    pub(super) fn from_name(name: &str, bytes: u64) -> Option<Self> {
        let mut parts = name.strip_prefix("part-")?.strip_suffix(".parquet")?.split('-');
        let mut next = || parts.next();
        let (first, end, rows) =
            (next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?);
        let crc = u32::from_str_radix(next()?, 16).ok()?;
        Some(Self { name: name.to_owned(), bytes, rows, first, end, crc })
    }
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
        })
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
            ..Self::default()
        }
    }

    /// Tells whether something is in memory that should be at rest.
    pub(super) fn is_dirty(&self) -> bool {
        self.is_unwritten
            || !self.live.is_empty()
            || self.dead.within(0..self.flushed).next().is_some()
    }
}

/// The version of the file that [`StoredState`] is.
const FORMAT: u32 = 1;

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
}

impl StoredState {
    /// Returns the table that it is of, if this program knows its format.
    pub(super) fn path(&self) -> Result<TablePath, String> {
        if self.format > FORMAT {
            return Err(format!("format {} is newer than this program", self.format));
        }
        let [entity, project, table] = &self.table;
        TablePath::new(entity, project, table).map_err(|error| error.to_string())
    }
}
