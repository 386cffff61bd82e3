//! Durable writes of files and folders: when these functions return, the data survives a power cut.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

/// Opens a file for reading. Fails if something else, such as a folder or a pipe, has its name:
/// opening a pipe would block.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let open = || {
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        File::open(path)
    };
    open().map_err(named(path))
}

/// Reads a regular file.
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.read_to_end(&mut bytes).map_err(named(path))?;
    Ok(bytes)
}

/// An error of the system, with the path that it concerns.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
struct NamedError {
    path: PathBuf,
    source: io::Error,
}

/// Returns a function that adds a path to an error.
pub fn named(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |source| io::Error::new(source.kind(), NamedError { path: path.to_owned(), source })
}

fn unnamed(error: &io::Error) -> &io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<NamedError>());
    inner.map_or(error, |named| unnamed(&named.source))
}

/// Returns an error's text without the path.
pub fn cause(error: &io::Error) -> String {
    unnamed(error).to_string()
}

/// Returns the system's code of an error.
pub fn os_code(error: &io::Error) -> Option<i32> {
    unnamed(error).raw_os_error()
}

/// The code of a disk that cannot read a sector.
pub const EIO: i32 = 5;

/// Returns whether an error says that the process or the system has no room for an open file. It
/// says nothing about the file.
pub fn is_exhaustion(error: &io::Error) -> bool {
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    os_code(error).is_some_and(|code| [ENOMEM, ENFILE, EMFILE].contains(&code))
}

/// Returns whether an error says that there is no file, in contrast to one that cannot be read.
pub fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Syncs the names in a folder.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all().map_err(named(folder))
}

/// Syncs an existing file and its name.
pub fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Creates a folder and missing parent folders, and makes their names durable.
pub fn create_dir_all_synced(folder: &Path) -> io::Result<()> {
    // Without the lock a second caller could see a folder whose name is not durable yet.
    static CREATING: Mutex<()> = Mutex::new(());
    let _guard = CREATING.lock();
    create(folder)
}

fn create(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create(parent)?;
    match fs::create_dir(folder) {
        Err(error) if !folder.is_dir() => return Err(error),
        _ => {}
    }
    sync_folder(parent)
}

/// Replaces a file durably: afterwards, also after a power cut, it has the new content or the old.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    // The file of a killed process, or something that cannot be opened.
    move_folder_aside(&temporary)?;
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::create_new(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    move_folder_aside(path)?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Renames a folder that is in the place of a file, which cannot replace it.
fn move_folder_aside(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path).is_ok_and(|it| it.is_dir()) {
        return Ok(());
    }
    fs::rename(path, path.with_extension(format!("aside-{}", uuid::Uuid::new_v4().simple())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn files_are_replaced_whatever_is_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("file"), folder.path().join("elsewhere"));
        let temporary = folder.path().join("file.tmp");
        fs::write(&elsewhere, "untouched").unwrap();
        let obstacles: [&dyn Fn(&Path); 4] = [
            &|path| fs::create_dir(path).unwrap(),
            &|path| fs::write(path, "left by a killed process").unwrap(),
            &|path| std::os::unix::fs::symlink(path, path).unwrap(),
            &|path| std::os::unix::fs::symlink(&elsewhere, path).unwrap(),
        ];
        for (i, obstacle) in obstacles.iter().enumerate() {
            obstacle(&temporary);
            let _ = fs::remove_file(&path);
            obstacle(&path);
            replace(&path, b"content").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"content", "{i}");
            assert!(fs::symlink_metadata(&temporary).is_err(), "{i}");
        }
        assert_eq!(fs::read(&elsewhere).unwrap(), b"untouched");
    }

    #[test]
    fn missing_parents_are_created() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        for _ in 0..2 {
            create_dir_all_synced(&deep).unwrap();
            assert!(deep.is_dir());
        }
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(create_dir_all_synced(&file).is_err());
        assert!(create_dir_all_synced(&file.join("below")).is_err());
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        for content in ["long content", "short"] {
            replace(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
