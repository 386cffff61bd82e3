//! Opens a store: recovers rows from the log after a crash, and finds and reports damage.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use parking_lot::{Mutex, RwLock};
use streamtable_schema::TablePath;
use streamtable_store::{Problem, ProblemKind, StoreError};
use tokio::sync::{Notify, Semaphore};

use super::Inner;
use super::config::StoreConfig;
use super::delta::DeltaFolder;
use super::folder::{data_files, read_state, table_folder, table_folders, table_of};
use super::rebuild::table_of_files;
use super::state::TableState;
use super::table::{OpenSegment, Table};
use crate::disk::{create_dir_all_synced, sync_folder};
use crate::log::{
    Frame, Log, LogConfig, Mark, Marker, SegmentId, first_sequence, list_segments, read_bytes,
    read_segment,
};
use crate::memtable::Memory;
use crate::query::Engine;

/// The result of recovery when a store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Rows that were in the log and not flushed.
    pub rows: u64,
    /// Writes that were cut off at the end of the log; they were never acked.
    pub torn: u64,
    /// Log files with unreadable parts, which were set aside.
    pub damaged: Vec<PathBuf>,
    /// Frames of acked rows that are missing in the log.
    pub missing: u64,
    /// Problems that belong to no single table.
    pub problems: Vec<Problem>,
}

impl Recovery {
    fn report(&mut self, problem: Problem) {
        tracing::error!(kind = problem.kind.as_str(), "{}", problem.detail);
        self.problems.push(problem);
    }
}

type Tables = BTreeMap<TablePath, Arc<Table>>;

pub(super) fn log_folder(config: &StoreConfig) -> PathBuf {
    config.folder.join("log")
}

pub(super) async fn open(mut config: StoreConfig) -> Result<Inner, StoreError> {
    create_dir_all_synced(&config.folder)?;
    config.folder = config.folder.canonicalize()?;
    let lock = own(&config)?;
    create_dir_all_synced(&log_folder(&config))?;
    let mut recovery = Recovery::default();
    let open_segment = Arc::<OpenSegment>::default();
    let (mut tables, rebuilt) = read_tables(&config, &open_segment, &mut recovery).await?;
    for table in tables.values().filter(|it| !rebuilt.contains(&it.path)) {
        table.catch_up().await?;
    }
    let memory = Arc::new(Memory::default());
    let (mut recovery, next, sequence, marker, tables) = {
        let (config, memory) = (config.clone(), Arc::clone(&memory));
        let open_segment = Arc::clone(&open_segment);
        let replayed = tokio::task::spawn_blocking(move || {
            let (config, open_segment, memory) = (&config, &open_segment, &memory);
            let mut replay = Replay { config, open_segment, memory, recovery, next: None };
            let (next, sequence, marker) = replay.run(&mut tables)?;
            Ok::<_, StoreError>((replay.recovery, next, sequence, marker, tables))
        });
        replayed.await??
    };
    for path in rebuilt {
        let Some(table) = tables.get(&path) else { continue };
        let is_in_log = table.state.lock().oldest_segment.is_some();
        // After a crash during a first flush there is no state yet, and all rows are in the log.
        // That is not damage.
        let version = table.state.lock().version;
        if !is_in_log || version != Some(0) {
            let detail = "the table's state was lost and was rebuilt from its files";
            table.report(Problem::new(ProblemKind::StateDamaged, detail));
        }
    }
    for table in tables.values() {
        if let Err(error) = table.adopt(&memory).await {
            let detail = format!("files of {} cannot be taken over: {error}", table.path);
            recovery.report(Problem::new(ProblemKind::FileLost, detail));
        }
    }
    open_segment.set(next);
    let log_config = LogConfig { folder: log_folder(&config), segment_bytes: config.segment_bytes };
    let log = Log::start(log_config, next, sequence, marker)?;
    let engine = Engine::new(&config)?;
    Ok(Inner {
        log,
        tables: RwLock::new(tables),
        open_segment,
        awaited: Mutex::default(),
        engine,
        recovery,
        memory,
        logged: AtomicUsize::new(0),
        is_closed: AtomicBool::new(false),
        reading: Semaphore::new(super::MAX_READING as usize),
        builders: Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)),
        wake: Notify::new(),
        flushed: Notify::new(),
        _lock: lock,
        config,
    })
}

/// Locks the folder, so that no other process can own it. The system releases the lock when the
/// process ends in any way.
fn own(config: &StoreConfig) -> Result<File, StoreError> {
    let path = config.folder.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Io {
            reason: format!("another process owns {}", config.folder.display()),
        }),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Reads the states of all tables. Also returns the names of those whose state was rebuilt from
/// their files.
async fn read_tables(
    config: &StoreConfig,
    open_segment: &Arc<OpenSegment>,
    recovery: &mut Recovery,
) -> Result<(Tables, Vec<TablePath>), StoreError> {
    /// How many folders are read at the same time.
    const READERS: usize = 4;
    let folders = table_folders(&config.folder)?;
    let mut read = futures_util::stream::iter(folders)
        .map(|folder| read_table(config, open_segment, folder))
        .buffer_unordered(READERS);
    let (mut tables, mut rebuilt) = (Tables::new(), Vec::new());
    while let Some(found) = read.try_next().await? {
        match found {
            Found::Nothing => {}
            Found::Lost(problem) => recovery.report(problem),
            Found::Table { table, is_rebuilt } => {
                if is_rebuilt {
                    rebuilt.push(table.path.clone());
                }
                tables.insert(table.path.clone(), table);
            }
        }
    }
    Ok((tables, rebuilt))
}

/// The content of a table's folder.
enum Found {
    Nothing,
    Table { table: Arc<Table>, is_rebuilt: bool },
    Lost(Problem),
}

async fn read_table(
    config: &StoreConfig,
    open_segment: &Arc<OpenSegment>,
    folder: PathBuf,
) -> Result<Found, StoreError> {
    let root = &config.folder;
    let found = read_state(&folder);
    let is_newer = found.state.as_ref().is_some_and(|state| state.is_newer());
    if is_newer {
        let reason = format!("{} was written by a newer version", folder.display());
        return Err(StoreError::Damaged { reason });
    }
    let report = |table: &Table, damaged: &[PathBuf]| {
        for path in damaged {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let detail = format!("a copy of the state was damaged or missing: {name}");
            table.report(Problem::new(ProblemKind::StateDamaged, detail));
        }
    };
    // A state that was copied into another table's folder does not belong to that table.
    let of_state = found.state.as_ref().and_then(|state| state.path());
    let of_state = of_state.filter(|path| table_folder(root, path) == folder);
    if let (Some(path), Some(stored)) = (of_state, found.state) {
        let mut state = TableState::from_stored(stored);
        state.writes = found.count;
        state.is_copy_damaged = !found.damaged.is_empty();
        state.is_unwritten = state.is_copy_damaged;
        let table = Table::new(path, folder, state, Arc::clone(open_segment));
        report(&table, &found.damaged);
        return Ok(Found::Table { table: Arc::new(table), is_rebuilt: false });
    }
    let has_files = !data_files(&folder)?.is_empty();
    if !has_files && DeltaFolder::newest_version(&folder).is_none() && found.damaged.is_empty() {
        return Ok(Found::Nothing);
    }
    let path = table_of(root, &folder).or_else(|| table_of_files(&folder));
    let Some(path) = path.filter(|path| table_folder(root, path) == folder) else {
        return set_table_aside(config, &folder, "its name is not known").map(Found::Lost);
    };
    let mut state = TableState::default();
    state.writes = found.count;
    let table = Table::new(path, folder.clone(), state, Arc::clone(open_segment));
    match table.rebuild().await {
        Ok(()) => {
            report(&table, &found.damaged);
            Ok(Found::Table { table: Arc::new(table), is_rebuilt: true })
        }
        Err(error) => set_table_aside(config, &folder, &error.to_string()).map(Found::Lost),
    }
}

/// Moves a table's folder away, so that all other tables can be served.
fn set_table_aside(
    config: &StoreConfig,
    folder: &Path,
    reason: &str,
) -> Result<Problem, StoreError> {
    let damaged = config.folder.join("damaged");
    create_dir_all_synced(&damaged)?;
    let name = format!("table-{}", uuid::Uuid::new_v4().simple());
    fs::rename(folder, damaged.join(&name))?;
    sync_folder(&damaged)?;
    let place = folder.strip_prefix(&config.folder).unwrap_or(folder).display();
    let detail = format!("{place} cannot be read and was moved to damaged/{name}: {reason}");
    Ok(Problem::new(ProblemKind::TableLost, detail))
}

/// Replays the log. Runs on a thread that may block.
struct Replay<'a> {
    config: &'a StoreConfig,
    open_segment: &'a Arc<OpenSegment>,
    memory: &'a Arc<Memory>,
    recovery: Recovery,
    /// The expected number of the next frame; `None` before the first one.
    next: Option<u64>,
}

impl Replay<'_> {
    /// Returns the numbers of the next file and the next frame.
    fn run(&mut self, tables: &mut Tables) -> Result<(SegmentId, u64, Marker), StoreError> {
        let folder = log_folder(self.config);
        let (mut marker, mark, damaged_marks) = Marker::read(&folder);
        for path in damaged_marks {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let detail = format!("log/{name} was damaged or missing; it is written again");
            self.recovery.report(Problem::new(ProblemKind::LogDamaged, detail));
        }
        let mark = mark.unwrap_or_default();
        let first = mark.first.map(|first| first.frame);
        let mut starts = BTreeMap::new();
        let ids = list_segments(&folder)?;
        let newest = ids.last().map_or(0, |id| id.0).max(mark.last.map_or(0, |last| last.segment));
        for id in self.in_order(&folder, ids)? {
            let bytes = Bytes::from(read_bytes(&id.path(&folder))?);
            self.check_length(id, &bytes, &mark);
            let found = read_segment(&bytes);
            for damage in &found.damaged {
                let part = bytes.slice(damage.bytes.clone());
                self.set_aside(id, damage.bytes.start, &part)?;
            }
            self.recovery.torn += u64::from(found.torn_at.is_some());
            for (number, frame) in found.frames {
                starts.entry(id.0).or_insert(number);
                let next = self.next.or(first).unwrap_or(number);
                // After a failed write, the frames of a file may be repeated in the next one.
                // Frames before the first that is needed may still exist after a crash.
                if self.next.is_some_and(|next| number < next) {
                    continue;
                }
                if number > next && found.damaged.is_empty() {
                    self.miss(next.max(first.unwrap_or(0)), number);
                }
                self.next = Some(number + 1);
                self.recovery.rows += self.replay_frame(tables, id, &frame)?;
            }
        }
        let next = self.next.or(first).unwrap_or(1);
        self.miss(next, mark.acked());
        let sequence = next.max(mark.acked());
        marker.recovered(starts, sequence);
        Ok((SegmentId(newest + 1), sequence, marker))
    }

    /// Reports that frames from a number up to another are missing.
    fn miss(&mut self, from: u64, to: u64) {
        let frames = to.saturating_sub(from);
        if frames > 0 {
            self.recovery.missing += frames;
            let detail = format!(
                "{frames} frames of acked rows are missing in the log, from number {from} on"
            );
            self.recovery.report(Problem::new(ProblemKind::LogIncomplete, detail));
        }
    }

    /// Returns the files in the order of their frames, which is the order of their names unless
    /// somebody renamed them.
    fn in_order(&mut self, folder: &Path, ids: Vec<SegmentId>) -> io::Result<Vec<SegmentId>> {
        let mut last = 0;
        let mut keyed = Vec::new();
        for id in ids {
            let mut header = Vec::new();
            File::open(id.path(folder))?.take(64).read_to_end(&mut header)?;
            // A file whose header is damaged keeps its place.
            last = first_sequence(&header).unwrap_or(last);
            keyed.push((last, id));
        }
        if !keyed.is_sorted() {
            let detail = "the files of the log are not in order; they are read by their numbers";
            self.recovery.report(Problem::new(ProblemKind::LogIncomplete, detail));
            keyed.sort_unstable();
        }
        Ok(keyed.into_iter().map(|(_, id)| id).collect())
    }

    /// Reports a file that is shorter than its recorded length.
    fn check_length(&mut self, id: SegmentId, bytes: &Bytes, mark: &Mark) {
        let is_newest = mark.last.is_some_and(|last| last.segment == id.0);
        if is_newest && (bytes.len() as u64) < mark.room {
            let detail = format!("log/{:020}.log was cut; frames at its end may be missing", id.0);
            self.recovery.report(Problem::new(ProblemKind::LogIncomplete, detail));
        }
    }

    fn replay_frame(
        &mut self,
        tables: &mut Tables,
        id: SegmentId,
        frame: &Frame,
    ) -> Result<u64, StoreError> {
        let table = tables.entry(frame.table.clone()).or_insert_with(|| {
            let folder = table_folder(&self.config.folder, &frame.table);
            let (path, state) = (frame.table.clone(), TableState::default());
            Arc::new(Table::new(path, folder, state, Arc::clone(self.open_segment)))
        });
        let table = Arc::clone(table);
        let mut state = table.state.lock();
        if frame.first_position.saturating_add(frame.rows.len() as u64) > state.state_upto {
            state.oldest_segment.get_or_insert(id);
        }
        let gap = state.next_position..frame.first_position;
        let group = state.replay(frame, self.memory);
        let group = group.map_err(|error| StoreError::Io { reason: error.to_string() })?;
        let rows = group.as_ref().map_or(0, |group| group.rows());
        if let Some(group) = group {
            state.publish(group);
        }
        let end = state.visible_upto;
        drop(state);
        if !gap.is_empty() {
            // The log is damaged, or a restored copy has tables that are older than its log.
            // Positions whose write failed just before the end look the same.
            let (first, last, rows) = (gap.start, gap.end - 1, gap.end - gap.start);
            let detail = format!("no row is known at positions {first} to {last}");
            table.report(Problem::new(ProblemKind::LogIncomplete, detail).with_rows(rows));
        }
        table.end.send_replace(end);
        Ok(rows)
    }

    fn set_aside(&mut self, id: SegmentId, at: usize, part: &Bytes) -> Result<(), StoreError> {
        let folder = self.config.folder.join("damaged");
        create_dir_all_synced(&folder)?;
        let name = format!("{:020}-{at}.log", id.0);
        let path = folder.join(&name);
        fs::write(&path, part)?;
        self.recovery.damaged.push(path);
        let bytes = part.len();
        let detail =
            format!("{bytes} bytes of the log cannot be read and were copied to damaged/{name}");
        self.recovery.report(Problem::new(ProblemKind::LogDamaged, detail));
        Ok(())
    }
}
