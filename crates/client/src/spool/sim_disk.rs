//! An in-memory file system for tests, which can lose data, tear writes and fail calls.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, DiskFile, How, Lock};

/// A fault to inject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The disk is full.
    NoSpace,
    /// An I/O error.
    Io,
    /// A write takes only half of the bytes; any other call fails.
    Short,
}

/// A machine with a disk. Clones share the same machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimMachine {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The names that running processes see.
    nodes: BTreeMap<PathBuf, Node>,
    /// The names that survive a power failure.
    safe_names: BTreeMap<PathBuf, Node>,
    files: Vec<Content>,
    locks: BTreeSet<PathBuf>,
    /// Processes with a lower number are dead.
    alive_from: u64,
    processes: u64,
    calls: u64,
    /// The calls that fail, by number.
    plan: BTreeMap<u64, Trouble>,
    /// If set, every call that needs space fails.
    full_from: Option<u64>,
    failed: u64,
    /// Number of bytes that can still be allocated.
    room: Option<u64>,
    /// Whether every sync of a file fails.
    fails_syncs: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

#[derive(Clone, Debug, Default)]
struct Content {
    /// The content that running processes see.
    bytes: Vec<u8>,
    /// The content that survives a power failure.
    safe: Vec<u8>,
    /// A sync failed: data written before it never becomes durable.
    is_poisoned: bool,
}

/// A process on the machine: its view of the disk, until it is killed.
#[derive(Debug)]
pub(crate) struct SimDisk {
    machine: SimMachine,
    process: u64,
}

impl SimMachine {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a process.
    pub(crate) fn process(&self) -> Arc<dyn Disk> {
        let mut state = self.state();
        state.processes += 1;
        Arc::new(SimDisk { machine: self.clone(), process: state.processes })
    }

    /// Kills all processes: their later calls have no effect. The system keeps running.
    pub(crate) fn kill(&self) {
        let mut state = self.state();
        state.alive_from = state.processes + 1;
        state.locks.clear();
    }

    /// Simulates a power failure: `roll` decides how much of the unsynced data is lost.
    pub(crate) fn cut_power(&self, mut roll: impl FnMut(u64) -> u64) {
        self.kill();
        let mut state = self.state();
        for content in &mut state.files {
            let survives = std::mem::take(&mut content.bytes);
            let mut bytes = content.safe.clone();
            // Written data survives up to some position, sometimes with a hole.
            if survives != bytes && !content.is_poisoned {
                let upto = roll(survives.len() as u64 + 1) as usize;
                let hole = roll(3) == 0;
                bytes.resize(bytes.len().max(upto), 0);
                let start = if hole { roll(upto as u64 + 1) as usize } else { 0 };
                let is_safe = content.safe.len();
                for i in start..upto {
                    if i >= is_safe || content.safe[i] != survives[i] {
                        bytes[i] = survives[i];
                    }
                }
            }
            content.bytes.clone_from(&bytes);
            content.safe = bytes;
            content.is_poisoned = false;
        }
        // A name may survive without a sync. A synced name survives unless it was removed.
        let names = std::mem::take(&mut state.nodes);
        let mut kept = state.safe_names.clone();
        for (path, node) in names {
            if roll(2) == 0 {
                kept.insert(path, node);
            }
        }
        // Names in lost folders are lost, too.
        let folders: BTreeSet<PathBuf> = kept
            .iter()
            .filter(|(_, node)| **node == Node::Folder)
            .map(|(path, _)| path.clone())
            .collect();
        let has_parents = |path: &Path| {
            path.ancestors().skip(1).all(|a| a.parent().is_none() || folders.contains(a))
        };
        kept.retain(|path, _| has_parents(path));
        state.nodes = kept.clone();
        state.safe_names = kept;
    }

    /// Makes a call fail, counted from the next one.
    pub(crate) fn fail(&self, call: u64, trouble: Trouble) {
        let mut state = self.state();
        let number = state.calls + call;
        state.plan.insert(number, trouble);
    }

    /// Sets whether every call that needs space fails.
    pub(crate) fn set_full(&self, is_full: bool) {
        let mut state = self.state();
        state.full_from = is_full.then_some(state.calls);
    }

    /// Limits the bytes that can be allocated from now on. As on ext4, a larger request takes all
    /// remaining space and fails; removing a file frees its space.
    pub(crate) fn set_room(&self, bytes: u64) {
        self.state().room = Some(bytes);
    }

    /// Sets whether every sync of a file fails.
    pub(crate) fn set_fails_syncs(&self, fails: bool) {
        self.state().fails_syncs = fails;
    }

    /// Clears all faults.
    pub(crate) fn heal(&self) {
        let mut state = self.state();
        state.plan.clear();
        state.full_from = None;
    }

    pub(crate) fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Returns the number of calls that failed by injection.
    pub(crate) fn failed(&self) -> u64 {
        self.state().failed
    }

    /// Returns all files with their contents.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let state = self.state();
        let file = |(path, node): (&PathBuf, &Node)| match node {
            Node::File(file) => Some((path.clone(), state.files[*file].bytes.clone())),
            Node::Folder => None,
        };
        state.nodes.iter().filter_map(file).collect()
    }

    /// Begins a call of a process, which may fail by injection.
    fn call(&self, process: u64, needs_room: bool) -> io::Result<(MutexGuard<'_, State>, bool)> {
        let mut state = self.state();
        if process < state.alive_from {
            return Err(io::Error::other("the process is dead"));
        }
        let number = state.calls;
        state.calls += 1;
        let full = state.full_from.filter(|_| needs_room).map(|_| Trouble::NoSpace);
        match state.plan.remove(&number).or(full) {
            None => Ok((state, false)),
            Some(Trouble::Short) => {
                state.failed += 1;
                Ok((state, true))
            }
            Some(trouble) => {
                state.failed += 1;
                Err(match trouble {
                    Trouble::NoSpace => ErrorKind::StorageFull.into(),
                    _ => io::Error::other("input/output error"),
                })
            }
        }
    }
}

fn ill() -> io::Error {
    io::Error::other("input/output error")
}

impl State {
    fn check_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if parent.parent().is_none() => Ok(()),
            Some(parent) if self.nodes.get(parent) == Some(&Node::Folder) => Ok(()),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    fn file(&mut self, path: &Path, how: How) -> io::Result<usize> {
        match self.nodes.get(path) {
            Some(Node::File(_)) if how == How::New => Err(ErrorKind::AlreadyExists.into()),
            Some(Node::File(file)) => Ok(*file),
            Some(Node::Folder) => Err(ErrorKind::IsADirectory.into()),
            None if how == How::Read => Err(ErrorKind::NotFound.into()),
            None => {
                self.check_parent(path)?;
                self.files.push(Content::default());
                let file = self.files.len() - 1;
                self.nodes.insert(path.to_owned(), Node::File(file));
                Ok(file)
            }
        }
    }

    fn children<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a PathBuf> {
        self.nodes.keys().filter(move |name| name.parent() == Some(path))
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let (mut state, is_ill) = self.machine.call(self.process, true)?;
        if is_ill {
            return Err(ill());
        }
        if state.nodes.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        state.check_parent(path)?;
        state.nodes.insert(path.to_owned(), Node::Folder);
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let (state, is_ill) = self.machine.call(self.process, false)?;
        if is_ill {
            return Err(ill());
        }
        if state.nodes.get(path) != Some(&Node::Folder) {
            return Err(ErrorKind::NotFound.into());
        }
        let name = |child: &PathBuf| Some(child.file_name()?.to_str()?.to_owned());
        Ok(state.children(path).filter_map(name).collect())
    }

    fn open(&self, path: &Path, how: How) -> io::Result<Arc<dyn DiskFile>> {
        let (mut state, is_ill) = self.machine.call(self.process, how != How::Read)?;
        if is_ill {
            return Err(ill());
        }
        let file = state.file(path, how)?;
        let (machine, process) = (self.machine.clone(), self.process);
        Ok(Arc::new(SimFile { machine, process, file, appends: how == How::Append }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (mut state, is_ill) = self.machine.call(self.process, true)?;
        if is_ill {
            return Err(ill());
        }
        let node = state.nodes.remove(from).ok_or(ErrorKind::NotFound)?;
        state.nodes.insert(to.to_owned(), node);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let (mut state, is_ill) = self.machine.call(self.process, false)?;
        if is_ill {
            return Err(ill());
        }
        match state.nodes.get(path) {
            Some(&Node::File(file)) => {
                state.nodes.remove(path);
                let freed = state.files[file].bytes.len() as u64;
                state.room = state.room.map(|room| room + freed);
                Ok(())
            }
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let (mut state, is_ill) = self.machine.call(self.process, false)?;
        if is_ill {
            return Err(ill());
        }
        if state.nodes.get(path) != Some(&Node::Folder) {
            return Err(ErrorKind::NotFound.into());
        }
        if state.children(path).next().is_some() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        state.nodes.remove(path);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let (mut state, is_ill) = self.machine.call(self.process, false)?;
        if is_ill {
            return Err(ill());
        }
        let is_child = |name: &Path| name.parent() == Some(path);
        state.safe_names.retain(|name, _| !is_child(name));
        let children: Vec<_> = state
            .nodes
            .iter()
            .filter(|(name, _)| is_child(name))
            .map(|(name, node)| (name.clone(), *node))
            .collect();
        state.safe_names.extend(children);
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let (mut state, is_ill) = self.machine.call(self.process, true)?;
        if is_ill {
            return Err(ill());
        }
        state.file(path, How::Write)?;
        if !state.locks.insert(path.to_owned()) {
            return Ok(None);
        }
        let (machine, process) = (self.machine.clone(), self.process);
        Ok(Some(Box::new(SimLock { machine, process, path: path.to_owned() })))
    }

    fn process(&self) -> u32 {
        self.process as u32
    }

    fn is_quick(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct SimLock {
    machine: SimMachine,
    process: u64,
    path: PathBuf,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.machine.state();
        if self.process >= state.alive_from {
            state.locks.remove(&self.path);
        }
    }
}

#[derive(Debug)]
struct SimFile {
    machine: SimMachine,
    process: u64,
    file: usize,
    appends: bool,
}

impl DiskFile for SimFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let (state, is_short) = self.machine.call(self.process, false)?;
        let from = state.files[self.file].bytes.get(offset as usize..).unwrap_or_default();
        let mut count = from.len().min(bytes.len());
        if is_short && count > 1 {
            count /= 2;
        }
        bytes[..count].copy_from_slice(&from[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let (mut state, is_short) = self.machine.call(self.process, true)?;
        let count = if is_short { bytes.len().div_ceil(2) } else { bytes.len() };
        let content = &mut state.files[self.file].bytes;
        let start = if self.appends { content.len() } else { offset as usize };
        if content.len() < start + count {
            content.resize(start + count, 0);
        }
        content[start..start + count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let (mut state, is_ill) = self.machine.call(self.process, true)?;
        if is_ill {
            return Err(ill());
        }
        let more = len.saturating_sub(state.files[self.file].bytes.len() as u64);
        let given = state.room.map_or(more, |room| room.min(more));
        state.room = state.room.map(|room| room - given);
        let content = &mut state.files[self.file].bytes;
        content.resize(content.len() + given as usize, 0);
        if given < more { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn len(&self) -> io::Result<u64> {
        let (state, is_ill) = self.machine.call(self.process, false)?;
        if is_ill {
            return Err(ill());
        }
        Ok(state.files[self.file].bytes.len() as u64)
    }

    /// After a failed sync, later ones succeed, but data written before the failure never becomes
    /// durable.
    fn sync(&self) -> io::Result<()> {
        match self.machine.call(self.process, false) {
            Ok((mut state, false)) if !state.fails_syncs => {
                let content = &mut state.files[self.file];
                if !content.is_poisoned {
                    content.safe.clone_from(&content.bytes);
                }
                Ok(())
            }
            Ok((mut state, _)) => {
                state.files[self.file].is_poisoned = true;
                Err(ill())
            }
            Err(error) => {
                let mut state = self.machine.state();
                if self.process >= state.alive_from {
                    state.files[self.file].is_poisoned = true;
                }
                Err(error)
            }
        }
    }
}
