//! Opening a store: what a crash left in its log comes back.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use streamtable_schema::TablePath;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};

use super::Inner;
use super::config::StoreConfig;
use super::folder::{read_states, table_folder};
use super::state::TableState;
use super::table::Table;
use crate::StoreError;
use crate::live::Memory;
use crate::log::{Frame, Log, LogConfig, SegmentId, list_segments, read_segment, sync_folder};
use crate::query::Engine;

/// What was found when a store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Rows that were in the log and not at rest.
    pub rows: u64,
    /// Writes that were cut off at the end of the log; nobody was told that they succeeded.
    pub torn: u64,
    /// Files with parts of the log that could not be read, set aside.
    pub damaged: Vec<PathBuf>,
}

pub(super) fn log_folder(config: &StoreConfig) -> PathBuf {
    config.folder.join("log")
}

pub(super) async fn open(mut config: StoreConfig) -> Result<Inner, StoreError> {
    fs::create_dir_all(&config.folder)?;
    config.folder = config.folder.canonicalize()?;
    let lock = own(&config)?;
    fs::create_dir_all(log_folder(&config))?;
    sync_folder(&config.folder)?;
    let mut tables = read_tables(&config)?;
    for table in tables.values() {
        table.catch_up().await?;
    }
    let memory = Arc::new(Memory::default());
    let (recovery, next, sequence, tables) = {
        let (config, memory) = (config.clone(), Arc::clone(&memory));
        let replayed = tokio::task::spawn_blocking(move || {
            let (recovery, next, sequence) = replay(&config, &mut tables, &memory)?;
            Ok::<_, StoreError>((recovery, next, sequence, tables))
        });
        replayed.await??
    };
    let log_config = LogConfig { folder: log_folder(&config), segment_bytes: config.segment_bytes };
    let log = Log::start(log_config, next, sequence)?;
    let engine = Engine::new(&config)?;
    Ok(Inner {
        log,
        tables: RwLock::new(tables),
        awaited: Mutex::default(),
        engine,
        recovery,
        memory,
        logged: AtomicUsize::new(0),
        is_closed: AtomicBool::new(false),
        reading: Semaphore::new(super::MAX_READING as usize),
        builders: Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)),
        wake: Notify::new(),
        rested: Notify::new(),
        _lock: lock,
        config,
    })
}

/// Makes sure that no other process owns the folder. The system lets go of it when the process
/// ends, however it does.
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

fn read_tables(config: &StoreConfig) -> Result<BTreeMap<TablePath, Arc<Table>>, StoreError> {
    let mut tables = BTreeMap::new();
    for (folder, state) in read_states(&config.folder)? {
        let path = state.path().map_err(|reason| StoreError::Damaged {
            reason: format!("{}: {reason}", folder.display()),
        })?;
        let table = Table::new(path.clone(), folder, TableState::from_stored(state));
        tables.insert(path, Arc::new(table));
    }
    Ok(tables)
}

/// Brings back what is in the log, and tells the numbers of the next file and the next frame.
///
/// Runs where it may block, inside a runtime.
fn replay(
    config: &StoreConfig,
    tables: &mut BTreeMap<TablePath, Arc<Table>>,
    memory: &Arc<Memory>,
) -> Result<(Recovery, SegmentId, u64), StoreError> {
    let folder = log_folder(config);
    let (mut recovery, mut next, mut sequence) = (Recovery::default(), SegmentId(1), 1);
    for id in list_segments(&folder)? {
        next = SegmentId(id.0 + 1);
        let bytes = Bytes::from(fs::read(id.path(&folder))?);
        let found = read_segment(&bytes);
        for damage in found.damaged {
            let part = bytes.slice(damage.bytes.clone());
            let aside = set_aside(config, id, damage.bytes.start, &part)?;
            tracing::error!(
                file = %aside.display(),
                bytes = part.len(),
                "a part of the log cannot be read, and is set aside"
            );
            recovery.damaged.push(aside);
        }
        recovery.torn += u64::from(found.torn_at.is_some());
        for (number, frame) in found.frames {
            // After a failed file its frames may stand in the next one again.
            if number < sequence {
                continue;
            }
            sequence = number + 1;
            recovery.rows += replay_frame(config, tables, &frame, memory)?;
        }
    }
    Ok((recovery, next, sequence))
}

fn replay_frame(
    config: &StoreConfig,
    tables: &mut BTreeMap<TablePath, Arc<Table>>,
    frame: &Frame,
    memory: &Arc<Memory>,
) -> Result<u64, StoreError> {
    let table = match tables.get(&frame.table) {
        Some(table) => Arc::clone(table),
        None => {
            let folder = table_folder(&config.folder, &frame.table);
            let table = Table::new(frame.table.clone(), folder, TableState::default());
            // The state is written after the first commit, so a commit may be there without it.
            Handle::current().block_on(table.catch_up())?;
            let table = Arc::new(table);
            tables.insert(frame.table.clone(), Arc::clone(&table));
            table
        }
    };
    let mut state = table.state.lock();
    let group = state.replay(frame, memory);
    let group = group.map_err(|error| StoreError::Io { reason: error.to_string() })?;
    let rows = group.as_ref().map_or(0, |group| group.rows());
    if let Some(group) = group {
        state.publish(group);
    }
    let end = state.end;
    drop(state);
    table.end.send_replace(end);
    Ok(rows)
}

fn set_aside(
    config: &StoreConfig,
    id: SegmentId,
    at: usize,
    part: &Bytes,
) -> Result<PathBuf, io::Error> {
    let folder = config.folder.join("damaged");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{:020}-{at}.log", id.0));
    fs::write(&path, part)?;
    Ok(path)
}
