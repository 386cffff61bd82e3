//! The file system, as far as the spool needs one.

use std::cell::RefCell;
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forkguard::Guard;
use streamtable_mapped::MappedFile;

/// A file system: the machine's, or a simulated one that loses and refuses what a test wants.
///
/// Nothing is promised to be there after a power cut unless it was synced, files by
/// [`DiskFile::sync`] and names by [`sync_dir`](Self::sync_dir). What was written is there after
/// the death of a process.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Makes a folder in one that is there.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Returns the names in a folder, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Opens a file.
    fn open(&self, path: &Path, how: How) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name in its folder, in place of what had that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Waits until the names in a folder are safe.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Locks a file, which is made if it is not there; `None` while another process has the lock.
    ///
    /// A process that dies loses its locks. The one who locks must be sure that the name still is
    /// this file's, or be told `None`.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>>;

    /// Returns the number of this process.
    fn process(&self) -> u32;

    /// Tells whether calls take no time worth a thread.
    fn is_quick(&self) -> bool {
        false
    }
}

/// An open file. Its methods may be called from several threads.
pub(crate) trait DiskFile: Debug + Send + Sync {
    /// Reads some bytes; none at the end.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of the bytes.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes the file as long, and asks for the room; what is new reads as zeros.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Returns the file's length.
    fn len(&self) -> io::Result<u64>;

    /// Waits until the bytes are safe.
    fn sync(&self) -> io::Result<()>;

    /// Hears that nothing more will be written.
    fn seal(&self) {}
}

/// Held until it is dropped.
pub(crate) trait Lock: Debug + Send + Sync {}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// For reading, if it is there.
    Read,
    /// For both, if it is not there.
    New,
    /// For both, whether it is there or not.
    Write,
    /// For writing at its end, whatever the offset, whether it is there or not.
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

    /// Reads bytes from an offset on: as many as asked for, unless the file ends before.
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

    /// Reads the whole file, but no more than `limit` bytes of it.
    pub(crate) fn read_all(&self, limit: u64) -> io::Result<Vec<u8>> {
        let len = usize::try_from(self.len()?.min(limit)).unwrap_or(usize::MAX);
        self.read_from(0, len)
    }
}

/// Makes a folder and those that it lies in, and, if asked to, makes their names safe.
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

/// What is not there need not be removed.
pub(crate) fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The names in a folder; none if it is not there.
pub(crate) fn list_or_none(disk: &dyn Disk, path: &Path) -> io::Result<Vec<String>> {
    match disk.list(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        other => other,
    }
}

/// Does what may take time: here, or in a thread that may wait.
pub(crate) async fn off_thread<T: Send + 'static>(
    disk: &Arc<dyn Disk>,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    if disk.is_quick() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

/// The machine's file system.
#[derive(Debug)]
pub(crate) struct Machine;

impl Disk for Machine {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            // Rows are nobody else's business.
            builder.mode(0o700);
        }
        builder.create(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            // The spool has no names that are not UTF-8.
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

    /// Names are the file system's own matter there.
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
        // Whoever had the lock may have removed the file; then the lock is worth nothing.
        if !is_same(&file, path)? {
            return Ok(None);
        }
        Ok(Some(Box::new(MachineLock { _file: file })))
    }

    fn process(&self) -> u32 {
        process()
    }
}

/// Returns the number of this process. It is asked for at each row, and asking the system takes a
/// good part of what writing one does, so each thread remembers it until there is a fork.
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
            // Without a guard the system is asked each time.
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

/// A file that is open cannot be removed there.
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
    /// The lock ends with the last handle of the file, so also with the process.
    _file: File,
}

impl Lock for MachineLock {}

#[derive(Debug)]
struct MachineFile {
    file: File,
    /// What was allocated is written through memory, where that is possible.
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
            // Some file systems cannot keep room; then the length alone must do.
            Err(error) if error.kind() == ErrorKind::Unsupported => return self.file.set_len(len),
            other => other?,
        }
        // Where it cannot be mapped, every write is a call.
        *self.map() = MappedFile::new(&self.file).unwrap_or_default();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        // A file system may end meanwhile, and whoever writes then should hear of it.
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

    /// Through memory, and again as any file once it is sealed.
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

    /// As if its file system had ended. Where the file is not mapped, the write may even go well.
    #[test]
    fn a_file_that_is_gone_after_a_sync_ends_no_process() {
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
