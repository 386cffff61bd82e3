//! Folders on a local disk.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use super::{Entry, Folder, Meta};
use crate::disk::{create_dir_all_synced, named, open_regular, sync_file, sync_folder};

pub(super) fn create_file(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    create_dir_all_synced(folder)?;
    let path = folder.join(name);
    fs::write(&path, content).and_then(|()| sync_file(&path)).inspect_err(|_| {
        let _ = fs::remove_file(&path);
    })
}

pub(super) fn create_once(folder: &Path, name: &str, content: &[u8]) -> io::Result<bool> {
    create_dir_all_synced(folder)?;
    let path = folder.join(name);
    match fs::File::create_new(&path) {
        Ok(mut file) => {
            file.write_all(content)?;
            sync_file(&path)?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(crate::disk::read_regular(&path)? == content)
        }
        Err(error) => Err(named(&path)(error)),
    }
}

pub(super) fn replace(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    create_dir_all_synced(folder)?;
    crate::disk::replace(&folder.join(name), content)
}

pub(super) fn read_pieces(path: &Path, mut pass_on: impl FnMut(&[u8])) -> io::Result<()> {
    let (mut input, mut buffer) = (open_regular(path)?, vec![0; 1 << 18]);
    loop {
        match input.read(&mut buffer).map_err(named(path))? {
            0 => return Ok(()),
            count => pass_on(&buffer[..count]),
        }
    }
}

/// Like writers, follows symbolic links.
pub(super) fn list(folder: &Path) -> io::Result<Vec<Entry>> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut paths: Vec<_> =
        entries.map_err(named(folder))?.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    let entry = |path: std::path::PathBuf| {
        let found = fs::metadata(&path).map(|found| Meta {
            is_folder: found.is_dir(),
            bytes: found.len(),
            modified: found.modified().ok(),
        });
        Entry { folder: Folder::Local(path), found }
    };
    Ok(paths.into_iter().map(entry).collect())
}

pub(super) fn rename(from: &Path, name: &str, to: &Path, new_name: &str) -> io::Result<()> {
    create_dir_all_synced(to)?;
    fs::rename(from.join(name), to.join(new_name))?;
    sync_folder(to)?;
    sync_folder(from)
}

pub(super) fn objects(folder: &Path) -> io::Result<Arc<dyn ObjectStore>> {
    fs::create_dir_all(folder)?;
    Ok(Arc::new(LocalFileSystem::new_with_prefix(folder).map_err(io::Error::other)?))
}
