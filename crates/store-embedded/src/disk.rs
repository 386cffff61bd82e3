//! Durable writes of files and folders: when these functions return, the data survives a power cut.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use parking_lot::Mutex;

/// Syncs the names in a folder.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Syncs an existing file and its name.
pub(crate) fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Creates a folder and missing parent folders, and makes their names durable.
pub(crate) fn create_dir_all_synced(folder: &Path) -> io::Result<()> {
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
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

#[cfg(test)]
mod tests {
    use super::*;

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
