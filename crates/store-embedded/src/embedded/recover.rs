//! Opens a store: recovers rows from the log after a crash, and finds and reports damage.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use parking_lot::{Mutex, RwLock};
use streamtable_schema::TablePath;
use streamtable_store::{Problem, ProblemKind, StoreError};
use tokio::sync::{Notify, Semaphore};

use super::Inner;
use super::config::StoreConfig;
use super::delta::DeltaFolder;
use super::folder::{
    FoundState, TABLES, TableFolders, data_files, read_state, table_folder, table_folders, table_of,
};
use super::rebuild::owner;
use super::state::TableState;
use super::table::{OpenSegment, Table};
use crate::disk::{cause, create_dir_all_synced, named, open_regular};
use crate::log::{
    Frame, LocalLog, LocalLogConfig, Mark, Marker, ReadBytes, SegmentId, first_sequence, list,
    read_bytes, read_segment,
};
use crate::memtable::Memory;
use crate::place::{Folder, claim};
use crate::query::Engine;
use crate::tally::Tally;

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
    let root = tokio::task::spawn_blocking({
        let config = config.clone();
        move || claim(&config.folder, &config.folder.join(TABLES), config.tables.as_ref())
    });
    let root = root.await??;
    create_dir_all_synced(&log_folder(&config))?;
    let mut recovery = Recovery::default();
    let open_segment = Arc::<OpenSegment>::default();
    let ReadTables { mut tables, rebuilt, unreadable } =
        read_tables(&root, &open_segment, &mut recovery).await?;
    for table in tables.values().filter(|it| !rebuilt.contains(&it.path)) {
        table.catch_up().await?;
    }
    let memory = Arc::new(Memory::default());
    let (mut recovery, replayed, marker, tables) = {
        let (config, root, memory) = (config.clone(), root.clone(), Arc::clone(&memory));
        let open_segment = Arc::clone(&open_segment);
        let unreadable = unreadable.clone();
        let replayed = tokio::task::spawn_blocking(move || {
            let (config, root) = (&config, &root);
            let (open_segment, memory) = (&open_segment, &memory);
            let unreadable = &unreadable;
            let (next, kept) = (None, None);
            let mut replay =
                Replay { config, root, open_segment, memory, unreadable, recovery, next, kept };
            let (replayed, marker) = replay.run(&mut tables)?;
            Ok::<_, StoreError>((replay.recovery, replayed, marker, tables))
        });
        replayed.await??
    };
    for path in rebuilt {
        let Some(table) = tables.get(&path) else { continue };
        // The log is trimmed only after the state was written. If it has all rows, the state may never
        // have been written, and nothing is lost. That is not damage.
        if table.state.lock().logged_from != Some(0) {
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
    let Replayed { next, sequence, kept } = replayed;
    open_segment.set(next);
    let log_config =
        LocalLogConfig { folder: log_folder(&config), segment_bytes: config.segment_bytes };
    let log = LocalLog::start(log_config, next, sequence, marker)?;
    let engine = Engine::new(&config, root.join(TABLES).objects()?)?;
    Ok(Inner {
        log,
        tables: RwLock::new(tables),
        open_segment,
        unreadable,
        unreadable_segment: kept,
        awaited: Mutex::default(),
        engine,
        recovery,
        memory,
        logged: AtomicUsize::new(0),
        is_closed: AtomicBool::new(false),
        reading: Semaphore::new(super::MAX_READING as usize),
        builders: Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)),
        flushes: Tally::default(),
        flush_failures: AtomicU64::new(0),
        wake: Notify::new(),
        flushed: Notify::new(),
        _lock: lock,
        config,
        root,
    })
}

/// Locks the folder, so that no other process can own it. The system releases the lock when the
/// process ends in any way.
fn own(config: &StoreConfig) -> Result<File, StoreError> {
    let path = config.folder.join("lock");
    if fs::metadata(&path).is_ok_and(|it| !it.is_file()) {
        let reason = format!("{} is not a file; remove it while no server runs", path.display());
        return Err(StoreError::Io { reason });
    }
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(named(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Io {
            reason: format!("another process owns {}", config.folder.display()),
        }),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The result of reading all tables' folders.
struct ReadTables {
    tables: Tables,
    /// The tables whose state was rebuilt from their files.
    rebuilt: Vec<TablePath>,
    /// Folders that cannot be read. The log keeps the rows of tables in them.
    unreadable: Vec<Folder>,
}

/// Reads the states of all tables.
async fn read_tables(
    root: &Folder,
    open_segment: &Arc<OpenSegment>,
    recovery: &mut Recovery,
) -> Result<ReadTables, StoreError> {
    /// How many folders are read at the same time.
    const READERS: usize = 4;
    let listed = root.clone();
    let listed = tokio::task::spawn_blocking(move || table_folders(&listed)).await?;
    let TableFolders { tables: folders, unreadable: skipped, strange } = listed?;
    for path in strange {
        let detail = format!("{} is not a table's folder; it is left alone", path.shown(root));
        recovery.report(Problem::new(ProblemKind::Unreadable, detail));
    }
    let (mut tables, mut rebuilt, mut unreadable) = (Tables::new(), Vec::new(), Vec::new());
    let mut skip = |recovery: &mut Recovery, folder: Folder, reason: &str| {
        let detail = format!(
            "{} cannot be read; its tables are served again after a start that can read it: {reason}",
            folder.shown(root)
        );
        recovery.report(Problem::new(ProblemKind::Unreadable, detail));
        unreadable.push(folder);
    };
    for (folder, reason) in skipped {
        skip(recovery, folder, &reason);
    }
    let mut read = futures_util::stream::iter(folders)
        .map(|folder| async move {
            let found = read_table(root, open_segment, folder.clone()).await;
            match found {
                Err(error @ StoreError::Damaged { .. }) => Err(error),
                // A bucket fails for all tables.
                Err(error) if folder.local().is_none() => Err(error),
                Err(error) => Ok(Found::Unreadable(folder, error.to_string())),
                found => found,
            }
        })
        .buffer_unordered(READERS);
    while let Some(found) = read.try_next().await? {
        match found {
            Found::Nothing => {}
            Found::Unreadable(folder, reason) => skip(recovery, folder, &reason),
            Found::Lost(problem) => recovery.report(problem),
            Found::Table { table, is_rebuilt } => {
                if is_rebuilt {
                    rebuilt.push(table.path.clone());
                }
                tables.insert(table.path.clone(), table);
            }
        }
    }
    drop(read);
    Ok(ReadTables { tables, rebuilt, unreadable })
}

/// The content of a table's folder.
enum Found {
    Nothing,
    Table {
        table: Arc<Table>,
        is_rebuilt: bool,
    },
    /// The folder cannot be read now, and the reason.
    Unreadable(Folder, String),
    Lost(Problem),
}

async fn read_table(
    root: &Folder,
    open_segment: &Arc<OpenSegment>,
    folder: Folder,
) -> Result<Found, StoreError> {
    let read = folder.clone();
    let read =
        move || Ok::<_, io::Error>((read_state(&read)?, DeltaFolder::newest_version(&read)?));
    let (mut found, newest_version) = tokio::task::spawn_blocking(read).await??;
    let is_newer = found.state.as_ref().is_some_and(|state| state.is_newer());
    if is_newer {
        let reason = format!("{} was written by a newer version", folder.path().display());
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
    if let Some(path) = &of_state
        && let Some(stored) = found.state.take()
    {
        let path = path.clone();
        let mut state = TableState::from_stored(stored);
        state.writes = found.count;
        state.is_copy_damaged = !found.damaged.is_empty();
        state.is_unwritten = state.is_copy_damaged;
        let table = Table::new(path, folder, state, Arc::clone(open_segment));
        report(&table, &found.damaged);
        return Ok(Found::Table { table: Arc::new(table), is_rebuilt: false });
    }
    let owners = owners(&folder).await?;
    if owners.is_empty() && newest_version.is_none() && found.damaged.is_empty() {
        return Ok(Found::Nothing);
    }
    let own = || owners.iter().flatten().find(|path| table_folder(root, path) == folder).cloned();
    let Some(path) = table_of(root, &folder).or_else(own) else {
        return set_table_aside(root, &folder, "its name is not known").map(Found::Lost);
    };
    if let Some(other) = owner_of_folder(&owners, &found, &path) {
        let reason = format!(
            "it is the folder of {other}; to restore that table, move it to {} while no server runs",
            table_folder(root, &other).shown(root)
        );
        return set_table_aside(root, &folder, &reason).map(Found::Lost);
    }
    let mut state = TableState::default();
    state.writes = found.count;
    let table = Table::new(path, folder.clone(), state, Arc::clone(open_segment));
    match table.rebuild().await {
        Ok(()) => {
            report(&table, &found.damaged);
            Ok(Found::Table { table: Arc::new(table), is_rebuilt: true })
        }
        // A rebuild without a file that cannot be read now would lose its rows for ever.
        Err(error @ StoreError::Io { .. }) => Err(error),
        Err(error) => set_table_aside(root, &folder, &error.to_string()).map(Found::Lost),
    }
}

/// Returns the table that each Parquet file in a folder names.
async fn owners(folder: &Folder) -> Result<Vec<Option<TablePath>>, StoreError> {
    let folder = folder.clone();
    let owners = tokio::task::spawn_blocking(move || {
        let files = data_files(&folder)?;
        Ok::<_, StoreError>(files.iter().map(|file| owner(&folder, file)).collect())
    });
    owners.await?
}

/// Returns the other table that a folder at a table's place belongs to, because folders were
/// swapped or copied. A folder with at least one file of its own table was not.
fn owner_of_folder(
    owners: &[Option<TablePath>],
    found: &FoundState,
    path: &TablePath,
) -> Option<TablePath> {
    if owners.is_empty() || owners.iter().flatten().any(|owner| owner == path) {
        return None;
    }
    let of_files = owners.iter().flatten().next().cloned();
    of_files.or_else(|| found.state.as_ref()?.path().filter(|of_state| of_state != path))
}

/// Moves a table's folder away, so that all other tables can be served.
fn set_table_aside(root: &Folder, folder: &Folder, reason: &str) -> Result<Problem, StoreError> {
    let name = format!("table-{}", uuid::Uuid::new_v4().simple());
    let place = folder.shown(root);
    root.rename(&place.to_string(), &root.join("damaged"), &name)?;
    let detail = format!("{place} cannot be read and was moved to damaged/{name}: {reason}");
    Ok(Problem::new(ProblemKind::TableLost, detail))
}

/// Replays the log. Runs on a thread that may block.
struct Replay<'a> {
    config: &'a StoreConfig,
    /// The folder of `tables`.
    root: &'a Folder,
    open_segment: &'a Arc<OpenSegment>,
    memory: &'a Arc<Memory>,
    recovery: Recovery,
    /// Folders of tables that cannot be read.
    unreadable: &'a [Folder],
    /// The expected number of the next frame; `None` before the first one.
    next: Option<u64>,
    /// The oldest file that must be kept, because it, or a table with rows in it, cannot be read.
    kept: Option<SegmentId>,
}

/// The extent of the log after the replay.
struct Replayed {
    /// The number of the next file.
    next: SegmentId,
    /// The number of the next frame.
    sequence: u64,
    kept: Option<SegmentId>,
}

impl Replay<'_> {
    fn run(&mut self, tables: &mut Tables) -> Result<(Replayed, Marker), StoreError> {
        let folder = log_folder(self.config);
        let (mut marker, mark, damaged_marks) = Marker::read(&folder)?;
        for path in damaged_marks {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let detail = format!("log/{name} was damaged or missing; it is written again");
            self.recovery.report(Problem::new(ProblemKind::LogDamaged, detail));
        }
        let has_mark = mark.is_some();
        let mark = mark.unwrap_or_default();
        let first = mark.first.map(|first| first.frame);
        let mut starts = BTreeMap::new();
        let listed = list(&folder)?;
        for name in &listed.strange {
            let detail = format!("log/{name} is not a file of the log; it is left alone");
            self.recovery.report(Problem::new(ProblemKind::Unreadable, detail));
        }
        let newest = listed.highest.max(mark.last.map_or(0, |last| last.segment));
        for id in self.in_order(&folder, listed.segments) {
            let Some(bytes) = self.read(&folder, id) else { continue };
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
                self.next = Some(number.saturating_add(1));
                self.recovery.rows += self.replay_frame(tables, id, &frame)?;
            }
        }
        let next = self.next.or(first).unwrap_or(1);
        self.miss(next, mark.acked());
        let known = next.max(mark.acked());
        let sequence = self.compare(tables, known, has_mark);
        marker.recovered(starts, sequence);
        Ok((Replayed { next: SegmentId(newest + 1), sequence, kept: self.kept }, marker))
    }

    /// Compares the extent of the log with what tables know of it, and returns the number of the
    /// next frame. A log that is shorter, or has no mark although there are tables, was lost or is
    /// an older copy.
    fn compare(&mut self, tables: &Tables, known: u64, has_mark: bool) -> u64 {
        /// How many tables the report names.
        const NAMED: usize = 10;
        let extent = |table: &Table| {
            let state = table.state.lock();
            (state.frames, state.visible_upto, state.state_upto > 0)
        };
        let extents: Vec<_> = tables.values().map(|table| (&table.path, extent(table))).collect();
        let newest = extents.iter().map(|(_, (frames, ..))| *frames).max().unwrap_or(0);
        let mut suspects = extents
            .iter()
            .filter(|(_, (frames, _, is_flushed))| *frames > known || (!has_mark && *is_flushed));
        let named: Vec<String> = suspects
            .by_ref()
            .take(NAMED)
            .map(|(path, (_, end, _))| format!("{path} from position {end} on"))
            .collect();
        if named.is_empty() {
            return known;
        }
        let (named, others) = (named.join(", "), suspects.count());
        let detail = format!(
            "the log is missing, or is older than the tables: acked rows that were not flushed may \
             be lost, in {named}, and in {others} other tables"
        );
        self.recovery.missing += newest.saturating_sub(known);
        self.recovery.report(Problem::new(ProblemKind::LogIncomplete, detail));
        known.max(newest)
    }

    /// Reads a file. Returns `None` if the system cannot read it: then it stays in its place, and
    /// the next start tries again.
    fn read(&mut self, folder: &Path, id: SegmentId) -> Option<Bytes> {
        match read_bytes(&id.path(folder)) {
            Ok(ReadBytes { bytes, unreadable }) => {
                if unreadable > 0 {
                    self.skip(id, &format!("the disk cannot read {unreadable} sectors of it"));
                }
                Some(bytes.into())
            }
            Err(error) => {
                self.skip(id, &cause(&error));
                None
            }
        }
    }

    /// Reports a file that cannot be read, and keeps it.
    fn skip(&mut self, id: SegmentId, reason: &str) {
        let detail =
            format!("log/{:020}.log cannot be read; it stays in its place: {reason}", id.0);
        self.recovery.report(Problem::new(ProblemKind::Unreadable, detail));
        self.keep(id);
    }

    fn keep(&mut self, id: SegmentId) {
        self.kept = Some(self.kept.map_or(id, |kept| kept.min(id)));
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
    fn in_order(&mut self, folder: &Path, ids: Vec<SegmentId>) -> Vec<SegmentId> {
        let mut last = 0;
        let mut keyed = Vec::new();
        for id in ids {
            let mut header = Vec::new();
            let read = open_regular(&id.path(folder))
                .and_then(|file| file.take(64).read_to_end(&mut header));
            // A file whose header cannot be read, or is damaged, keeps its place.
            last = read.ok().and_then(|_| first_sequence(&header)).unwrap_or(last);
            keyed.push((last, id));
        }
        if !keyed.is_sorted() {
            let detail = "the files of the log are not in order; they are read by their numbers";
            self.recovery.report(Problem::new(ProblemKind::LogIncomplete, detail));
            keyed.sort_unstable();
        }
        keyed.into_iter().map(|(_, id)| id).collect()
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
        let folder = || table_folder(self.root, &frame.table);
        if !self.unreadable.is_empty()
            && self.unreadable.iter().any(|unreadable| folder().is_within(unreadable))
        {
            self.keep(id);
            return Ok(0);
        }
        let table = tables.entry(frame.table.clone()).or_insert_with(|| {
            let folder = folder();
            let (path, state) = (frame.table.clone(), TableState::default());
            Arc::new(Table::new(path, folder, state, Arc::clone(self.open_segment)))
        });
        let table = Arc::clone(table);
        let mut state = table.state.lock();
        let first =
            state.logged_from.map_or(frame.first_position, |it| it.min(frame.first_position));
        state.logged_from = Some(first);
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
