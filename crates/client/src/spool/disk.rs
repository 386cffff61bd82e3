//! The file system operations that the spool needs.

use std::cell::RefCell;
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forkguard::Guard;
use streamtable_mapped::MappedFile;

/// A file system: the real one, or a simulated one for tests, which loses data and fails calls.
///
/// Written data survives the end of the process. It survives a power failure only if it was synced:
/// file contents with [`DiskFile::sync`], names with [`sync_dir`](Self::sync_dir).
pub(crate) trait Disk: Debug + Send + Sync {
    /// Creates a folder. Its parent must exist.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Returns the names in a folder, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Opens a file.
    fn open(&self, path: &Path, how: How) -> io::Result<Arc<dyn DiskFile>>;

    /// Renames a file within its folder, replacing a file with the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Waits until the names in a folder are durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Locks a file, which is created if it does not exist. Returns `None` if another process holds
    /// the lock.
    ///
    /// The lock is released when its process ends. After locking, an implementation must check that
    /// the path still refers to the locked file; otherwise it returns `None`.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>>;

    /// Returns the id of this process.
    fn process(&self) -> u32;

    /// Returns whether calls are so fast that they need no separate thread.
    fn is_quick(&self) -> bool {
        false
    }
}

/// An open file. Its methods may be called from several threads.
pub(crate) trait DiskFile: Debug + Send + Sync {
    /// Reads some bytes. Returns 0 at the end of the file.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of the bytes.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Extends the file to this length and allocates its space. New bytes are zero.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Returns the file's length.
    fn len(&self) -> io::Result<u64>;

    /// Waits until the content is durable.
    fn sync(&self) -> io::Result<()>;

    /// Called when nothing more will be written.
    fn seal(&self) {}
}

/// A lock, held until it is dropped.
pub(crate) trait Lock: Debug + Send + Sync {}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Existing file, for reading.
    Read,
    /// New file, for reading and writing. Fails if it exists.
    New,
    /// New or existing file, for reading and writing.
    Write,
    /// New or existing file, for appending; offsets are ignored.
    Append,
}

impl dyn DiskFile {
    /// Writes all bytes.
    pub(crate) fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, offset) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    bytes = &bytes[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads up to `count` bytes from an offset; fewer at the end of the file.
    pub(crate) fn read_from(&self, offset: u64, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        let mut filled = 0;
        while filled < count {
            match self.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Reads the whole file, but at most `limit` bytes.
    pub(crate) fn read_all(&self, limit: u64) -> io::Result<Vec<u8>> {
        let len = usize::try_from(self.len()?.min(limit)).unwrap_or(usize::MAX);
        self.read_from(0, len)
    }
}

/// Creates a folder and its missing parents. If `sync` is set, waits until their names are durable.
pub(crate) fn create_dirs(disk: &dyn Disk, path: &Path, sync: bool) -> io::Result<()> {
    match disk.create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let Some(parent) = path.parent() else { return Err(error) };
            create_dirs(disk, parent, sync)?;
            match disk.create_dir(path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        Err(error) => return Err(error),
    }
    match path.parent() {
        Some(parent) if sync => disk.sync_dir(parent),
        _ => Ok(()),
    }
}

/// Treats a missing file as successfully removed.
pub(crate) fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Returns the names in a folder; none if the folder does not exist.
pub(crate) fn list_or_none(disk: &dyn Disk, path: &Path) -> io::Result<Vec<String>> {
    match disk.list(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        other => other,
    }
}

/// Runs blocking work: on a blocking thread, or here if the disk is simulated.
pub(crate) async fn off_thread<T: Send + 'static>(
    disk: &Arc<dyn Disk>,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    if disk.is_quick() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

/// The real file system.
#[derive(Debug)]
pub(crate) struct Machine;

impl Disk for Machine {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            // Only the owner may read the rows.
            builder.mode(0o700);
        }
        builder.create(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            // The spool uses UTF-8 names only.
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    fn open(&self, path: &Path, how: How) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        match how {
            How::Read => options.read(true),
            How::New => options.read(true).write(true).create_new(true),
            How::Write => options.read(true).write(true).create(true).truncate(false),
            How::Append => options.append(true).create(true),
        };
        private(&mut options);
        Ok(Arc::new(MachineFile { file: options.open(path)?, map: Mutex::new(None) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    #[cfg(unix)]
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    /// Other systems have no way to sync names.
    #[cfg(not(unix))]
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        private(&mut options);
        let file = options.open(path)?;
        match fs4::FileExt::try_lock(&file) {
            Ok(()) => {}
            Err(fs4::TryLockError::WouldBlock) => return Ok(None),
            Err(fs4::TryLockError::Error(error)) => return Err(error),
        }
        // If the previous holder has removed the file, this lock is on a file without a name, and
        // does not exclude other processes.
        if !is_same(&file, path)? {
            return Ok(None);
        }
        Ok(Some(Box::new(MachineLock { _file: file })))
    }

    fn process(&self) -> u32 {
        process()
    }
}

/// Returns the id of this process. The id is needed for each row, and the system call takes a
/// noticeable part of the time of writing one, so each thread caches it until a fork.
fn process() -> u32 {
    thread_local! {
        static KNOWN: RefCell<Option<(Guard, u32)>> = const { RefCell::new(None) };
    }
    KNOWN.with_borrow_mut(|known| match known {
        Some((guard, process)) => {
            if guard.detected_fork() {
                *process = std::process::id();
            }
            *process
        }
        None => {
            let process = std::process::id();
            // Without a guard the system is asked on every call.
            *known = Guard::try_new().ok().map(|guard| (guard, process));
            process
        }
    })
}

#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (ours, there) = (file.metadata()?, fs::metadata(path));
    Ok(there.is_ok_and(|there| (ours.dev(), ours.ino()) == (there.dev(), there.ino())))
}

/// Other systems do not allow removing an open file.
#[cfg(not(unix))]
fn is_same(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn private(_: &mut OpenOptions) {}

#[derive(Debug)]
struct MachineLock {
    /// The lock is released when the last handle of the file is closed, at the latest when the
    /// process ends.
    _file: File,
}

impl Lock for MachineLock {}

#[derive(Debug)]
struct MachineFile {
    file: File,
    /// Memory map of the allocated space, if the file can be mapped.
    map: Mutex<Option<MappedFile>>,
}

impl MachineFile {
    fn map(&self) -> MutexGuard<'_, Option<MappedFile>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written_away(&self) {
        if let Some(map) = &mut *self.map() {
            map.written_away();
        }
    }
}

impl DiskFile for MachineFile {
    #[cfg(unix)]
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.file, bytes, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&self.file, bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        match &mut *self.map() {
            Some(map) => map.write_at(bytes, offset).map(|()| bytes.len()),
            None => system_write_at(&self.file, bytes, offset),
        }
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        match fs4::FileExt::allocate(&self.file, len) {
            // Some file systems cannot allocate space; then only the length is set.
            Err(error) if error.kind() == ErrorKind::Unsupported => return self.file.set_len(len),
            other => other?,
        }
        // If the file cannot be mapped, every write is a system call.
        *self.map() = MappedFile::new(&self.file).unwrap_or_default();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        // A file system may be unmounted during the sync. Unmapping before and after it turns later
        // writes into errors instead of signals.
        self.written_away();
        let result = self.file.sync_data();
        self.written_away();
        result
    }

    fn seal(&self) {
        *self.map() = None;
    }
}

#[cfg(unix)]
fn system_write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, offset)
}

#[cfg(windows)]
fn system_write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes through the memory map, and directly after the file is sealed.
    #[test]
    fn an_allocated_file_is_written_and_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = Machine.open(&dir.path().join("f"), How::New).unwrap();
        file.allocate(5_000).unwrap();
        file.write_all_at(b"before", 4_090).unwrap();
        assert_eq!(file.read_from(4_088, 10).unwrap(), b"\0\0before\0\0");
        file.sync().unwrap();
        file.seal();
        file.write_all_at(b"behind", 4_990).unwrap();
        let bytes = file.read_all(u64::MAX).unwrap();
        assert_eq!((bytes.len(), &bytes[4_090..4_096]), (5_000, &b"before"[..]));
        assert_eq!(&bytes[4_990..4_996], b"behind");
    }

    /// Truncates the file, as if its file system were gone. If the file is not mapped, the write
    /// may succeed.
    #[test]
    fn writing_to_a_truncated_file_does_not_kill_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = Machine.open(&path, How::New).unwrap();
        file.allocate(5_000).unwrap();
        file.write_all_at(b"before", 0).unwrap();
        file.sync().unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
        let behind = file.write_all_at(b"behind", 6);
        assert!(behind.is_err() || file.len().unwrap() == 12, "{behind:?}");
    }
}
