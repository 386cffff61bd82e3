//! The state of a table.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use streamtable_schema::{TablePath, Timestamp};
use streamtable_store::{Problem, TableInfo, TableSummary};

use super::admit::Group;
use super::lines::{Placed, StoredWriter, Writer};
use crate::columns::{Columns, StoredColumn};
use crate::log::SegmentId;
use crate::memtable::MemTable;
use crate::ranges::Ranges;
use crate::seeded_bug::{Bug, is_seeded};

/// The maximum number of problems that a table remembers.
const MAX_PROBLEMS: usize = 100;

/// The state of a table, protected by the table's lock.
#[derive(Debug, Default)]
pub(super) struct TableState {
    pub(super) columns: Arc<Columns>,
    writers: HashMap<Arc<str>, Writer>,
    /// The position of the next row.
    pub(super) next_position: u64,
    /// Watermark: rows before this position are durable, or were given up.
    pub(super) visible_upto: u64,
    /// Watermark: rows before this position are flushed.
    pub(super) flushed_upto: u64,
    /// Watermark: the state that was read contains all rows before this position, including their
    /// columns and lines.
    pub(super) state_upto: u64,
    /// Deleted positions. Memory or files may still have rows at them.
    pub(super) deleted: Ranges,
    /// The number of empty positions, in memory and in files.
    pub(super) hole_count: u64,
    pub(super) memtable: MemTable,
    pub(super) files: Arc<Vec<DataFile>>,
    /// How often the log failed this table.
    pub(super) failures: u64,
    pub(super) created_at: Option<Timestamp>,
    pub(super) last_write: Option<Timestamp>,
    pub(super) last_step: Option<i64>,
    /// The version of the Delta table that has `files`.
    pub(super) version: Option<u64>,
    /// Whether something is missing in the state on disk that must be written before the log is
    /// trimmed: a commit that was taken over, or a file that was set aside.
    pub(super) is_unwritten: bool,
    /// How often the state was written.
    pub(super) writes: u64,
    /// Whether a copy of the state on disk is damaged, so that both must be written.
    pub(super) is_copy_damaged: bool,
    /// The log has, or had, all frames before this number: it was at least this long when the
    /// state was written.
    pub(super) frames: u64,
    /// Files that cannot be read now, and why. They are part of the table, and their rows are
    /// served once they can be read.
    pub(super) unreadable: BTreeMap<String, String>,
    /// The position of the first row in the log at start, flushed or not.
    pub(super) logged_from: Option<u64>,
    /// The oldest log file that has unflushed rows of this table.
    pub(super) oldest_segment: Option<SegmentId>,
    /// Damage that was found in the table's files.
    pub(super) problems: Vec<Problem>,
}

/// A file of flushed rows.
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
    /// Returns a name that describes the file's content: the range of positions, the number of
    /// rows, the checksum of all bytes, a unique number, and the offset of the file's metadata with
    /// its checksum.
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

    /// Returns the offset of the file's metadata, and its checksum.
    pub(crate) fn tail(&self) -> Option<Tail> {
        let mut parts = self.name.strip_suffix(".parquet")?.split('-').skip(6);
        let start = u64::from_str_radix(parts.next()?, 16).ok()?;
        let crc = u32::from_str_radix(parts.next()?, 16).ok()?;
        Some(Tail { start, crc })
    }
}

/// The part of a file after its rows: indexes and metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The offset of its first byte.
    pub(crate) start: u64,
    /// The CRC32C of its bytes.
    pub(crate) crc: u32,
}

impl TableState {
    /// Returns a writer's id as a text that all its rows share.
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

    /// Returns a writer and its id, if it has any line in the table.
    pub(super) fn writer(&self, id: &str) -> Option<(&Arc<str>, &Writer)> {
        self.writers.get_key_value(id)
    }

    pub(super) fn see(&mut self, writer: &Arc<str>, line: u64) {
        let writer = self.writers.entry(Arc::clone(writer)).or_default();
        // No frame has a line number without a successor.
        writer.seen.add(line..line.saturating_add(1));
    }

    /// Takes the rows of a group, which is submitted to the log next. Cannot fail: everything that
    /// can fail was done when the group was built.
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

    /// Makes durable rows visible.
    pub(super) fn publish(&mut self, group: Group) {
        for lines in &group.writers {
            let writer = self.writers.entry(Arc::clone(&lines.writer)).or_default();
            writer.pending.remove_all(&lines.numbers);
            for &placed in &lines.placed {
                let places = writer.places.get_or_insert_default();
                places.settle(placed);
                if let Some(old) = places.put(placed) {
                    self.deleted.add(old..old + 1);
                }
            }
        }
        self.visible_upto = self.visible_upto.max(group.positions.end);
        self.note(group.received_at, group.last_step);
        for (rows, charge) in group.batches {
            self.memtable.push(rows, charge);
        }
    }

    /// Records when rows arrived, and their highest step.
    pub(super) fn note(&mut self, received_at: Timestamp, step: Option<i64>) {
        self.created_at.get_or_insert(received_at);
        self.last_write = self.last_write.max(Some(received_at));
        self.last_step = self.last_step.max(step);
    }

    /// Restores the position of a flushed line from the log.
    pub(super) fn put_again(&mut self, writer: &Arc<str>, placed: Placed) {
        let writer = self.writers.entry(Arc::clone(writer)).or_default();
        writer.places.get_or_insert_default().put(placed);
    }

    /// Restores the content of a known line from the log.
    pub(super) fn learn(&mut self, writer: &Arc<str>, placed: Placed) {
        let writer = self.writers.entry(Arc::clone(writer)).or_default();
        writer.places.get_or_insert_default().learn(placed);
    }

    /// Removes rows that did not become durable. Their positions stay empty, and a retry may store
    /// them again.
    pub(super) fn give_up(&mut self, group: &Group) {
        for lines in &group.writers {
            let Some(writer) = self.writers.get_mut(&lines.writer) else { continue };
            writer.pending.remove_all(&lines.numbers);
            writer.seen.remove_all(&lines.numbers);
            for &placed in &lines.placed {
                writer.places.get_or_insert_default().settle(placed);
            }
        }
        self.deleted.add(group.positions.clone());
        self.visible_upto = self.visible_upto.max(group.positions.end);
    }

    /// Returns how many rows can be read.
    pub(super) fn rows(&self) -> u64 {
        let rows =
            self.visible_upto - self.hole_count - self.deleted.count_within(0..self.visible_upto);
        rows.saturating_sub(self.unreadable_files().map(|(file, _)| file.rows).sum())
    }

    /// Returns the files that can be read.
    pub(super) fn readable_files(&self) -> Arc<Vec<DataFile>> {
        if self.unreadable.is_empty() {
            return Arc::clone(&self.files);
        }
        let files = self.files.iter().filter(|file| !self.unreadable.contains_key(&file.name));
        Arc::new(files.cloned().collect())
    }

    /// Returns the files that cannot be read, and why.
    pub(super) fn unreadable_files(&self) -> impl Iterator<Item = (&DataFile, &str)> {
        let reason = |name: &String| self.unreadable.get(name).map(String::as_str);
        let is_any = !self.unreadable.is_empty();
        let files = is_any.then_some(&self.files).into_iter().flat_map(|files| files.iter());
        files.filter_map(move |file| Some((file, reason(&file.name)?)))
    }

    /// Returns the number of bytes that the rows take in memory.
    pub(super) fn memtable_bytes(&self) -> usize {
        self.memtable.bytes()
    }

    pub(super) fn summary(&self, path: &TablePath) -> Option<TableSummary> {
        let flushed_bytes: u64 = self.files.iter().map(|file| file.bytes).sum();
        Some(TableSummary {
            path: path.clone(),
            rows: self.rows(),
            bytes: flushed_bytes + self.memtable_bytes() as u64,
            created_at: self.created_at?,
            last_write: self.last_write?,
            problems: self.problems.clone(),
        })
    }

    /// Remembers a problem, unless it is already known.
    pub(super) fn report(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) && self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    /// Records that the line of a flushed row is stored. Returns the position of the row that it
    /// replaced, if the lines of its writer may be overwritten.
    pub(super) fn note_line(&mut self, writer: &str, line: u64, position: u64) -> Option<u64> {
        let id = self.writer_id(writer);
        let writer = self.writers.entry(id).or_default();
        // Whether lines may be overwritten is known only later; `places` has no effect if not.
        let may_replace = writer.places.is_some() || writer.seen.end() == 0;
        writer.seen.add(line..line.saturating_add(1));
        may_replace.then(|| writer.places.get_or_insert_default().place(line, position))?
    }

    pub(super) fn info(&self, path: &TablePath) -> Option<TableInfo> {
        Some(TableInfo {
            summary: self.summary(path)?,
            end: self.visible_upto,
            columns: self.columns.infos(),
            has_steps: self.last_step.is_some(),
            last_step: self.last_step,
        })
    }

    /// Returns the state that is needed to continue after a restart, once all rows before `end` are
    /// flushed. Later rows are restored from the log.
    pub(super) fn to_stored(&self, path: &TablePath) -> StoredState {
        let mut writers: Vec<StoredWriter> =
            self.writers.iter().map(|(id, writer)| writer.to_stored(id)).collect();
        writers.sort_by(|a, b| a.id.cmp(&b.id));
        StoredState {
            format: FORMAT,
            table: [path.entity(), path.project(), path.table()].map(str::to_owned),
            columns: self.columns.to_stored(),
            writers,
            flushed_upto: self.visible_upto,
            deleted: self.deleted.clone(),
            hole_count: self.hole_count,
            files: (*self.files).clone(),
            created_at: self.created_at.map(Timestamp::as_micros),
            last_write: self.last_write.map(Timestamp::as_micros),
            last_step: self.last_step,
            version: self.version,
            problems: self.problems.clone(),
            frames: self.frames,
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
            next_position: stored.flushed_upto,
            visible_upto: stored.flushed_upto,
            flushed_upto: stored.flushed_upto,
            state_upto: stored.flushed_upto,
            deleted: stored.deleted,
            hole_count: stored.hole_count,
            files: Arc::new(stored.files),
            created_at: stored.created_at.map(Timestamp::from_micros),
            last_write: stored.last_write.map(Timestamp::from_micros),
            last_step: stored.last_step,
            version: stored.version,
            problems: stored.problems,
            frames: stored.frames,
            ..Self::default()
        }
    }

    /// Returns whether there is something in memory that should be flushed.
    pub(super) fn is_dirty(&self) -> bool {
        self.is_unwritten
            || !self.memtable.is_empty()
            || self.deleted.within(0..self.flushed_upto).next().is_some()
    }
}

/// The format version of [`StoredState`].
const FORMAT: u32 = 2;

/// A table's state as it is written to disk after a flush.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredState {
    format: u32,
    table: [String; 3],
    columns: Vec<StoredColumn>,
    writers: Vec<StoredWriter>,
    #[serde(rename = "flushed")]
    pub(super) flushed_upto: u64,
    #[serde(rename = "dead")]
    pub(super) deleted: Ranges,
    #[serde(rename = "empty")]
    pub(super) hole_count: u64,
    pub(super) files: Vec<DataFile>,
    created_at: Option<i64>,
    last_write: Option<i64>,
    last_step: Option<i64>,
    pub(super) version: Option<u64>,
    #[serde(default)]
    pub(super) problems: Vec<Problem>,
    /// See [`TableState::frames`]; 0 in states of earlier versions.
    #[serde(default)]
    frames: u64,
}

impl StoredState {
    /// Returns whether a later version of this program wrote the state.
    pub(super) fn is_newer(&self) -> bool {
        self.format > FORMAT
    }

    /// Returns the table that the state belongs to.
    pub(super) fn path(&self) -> Option<TablePath> {
        let [entity, project, table] = &self.table;
        TablePath::new(entity, project, table).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names on disk are those of the first version, whatever the fields are called.
    #[test]
    fn stored_states_keep_their_field_names() {
        let text = r#"{"format":2,"table":["me","shop","requests"],"columns":[],"writers":[],"flushed":9,"dead":[[3,5]],"empty":1,"files":[],"created_at":null,"last_write":null,"last_step":null,"version":4}"#;
        let stored: StoredState = serde_json::from_str(text).unwrap();
        let again = serde_json::to_string(&stored).unwrap();
        // Fields that earlier versions did not write.
        let again = again.replace(r#","problems":[]"#, "").replace(r#","frames":0"#, "");
        assert_eq!(again, text);
        let state = TableState::from_stored(stored);
        assert_eq!((state.flushed_upto, state.visible_upto, state.state_upto), (9, 9, 9));
        assert_eq!((state.rows(), state.hole_count, state.version), (6, 1, Some(4)));
        assert!(state.deleted.contains(3) && state.is_dirty());
    }
}
