//! Backups of a data folder, made while a server uses it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use streamtable_server_core::{Catalog, clock, folder};
use streamtable_store_embedded::{Copied, Copier, damaged_files};

use crate::ServerError;

/// The folder of a backup that is not complete.
const PARTIAL: &str = "partial";

/// The file that one process at a time has locked.
const LOCK: &str = "lock";

/// The form of a backup's name: the time in UTC, so that names are in the order of time.
const NAME: &str = "%Y%m%dT%H%M%S%.3fZ";

/// A complete backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Its folder, which is a data folder that a server can be started in.
    pub folder: PathBuf,
    /// Its size.
    pub copied: Copied,
    /// Older backups that were removed.
    pub removed: Vec<PathBuf>,
    /// The URL of the tables, if they are in a bucket. They are not in the backup.
    pub tables_at: Option<String>,
}

/// Copies a data folder into a new folder in `target`, named by the time, and verifies the copy.
///
/// A server may use the folder at the same time. All rows, files and keys from before the call are in the
/// backup, except for tables in a bucket. Files of rows and uploads, which never change, are hard links to those of the backup
/// before, so that only new ones take space. Of the complete backups, the newest `keep` remain.
/// `progress` is called after each copied file. If it fails or is killed, no incomplete backup is
/// left under a backup's name.
///
/// Blocks.
pub fn back_up(
    data: &Path,
    target: &Path,
    keep: Option<usize>,
    progress: &mut dyn FnMut(Copied),
) -> Result<Backup, ServerError> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| ServerError::Folder {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let catalog = data.join("catalog.db");
    if !catalog.is_file() {
        return Err(failed(data, &"it is not the data folder of a server"));
    }
    folder::make(target).map_err(|error| failed(target, &error))?;
    let in_target = |error: io::Error| failed(target, &error);
    let from = data.canonicalize().map_err(|error| failed(data, &error))?;
    let to = target.canonicalize().map_err(in_target)?;
    if to.starts_with(&from) {
        return Err(failed(target, &"backups cannot be inside the data folder"));
    }
    let _lock = lock(&to).map_err(in_target)?;
    let partial = to.join(PARTIAL);
    match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(in_target(error)),
        _ => {}
    }
    folder::make_private(&partial).map_err(in_target)?;
    let earlier = backups(&to).map_err(in_target)?.pop();
    let mut copier = Copier::new(earlier, progress);
    let tables_at = copier.store(&from, &partial).map_err(in_target)?;
    Catalog::copy(&catalog, &partial.join("catalog.db"))?;
    copier.file(&from, &partial, Path::new("signing-key")).map_err(in_target)?;
    // Last, because rows and the catalog name what is in it.
    copier.files(&from, &partial).map_err(in_target)?;
    let copied = copier.copied();
    if let Some(file) = damaged_files(&partial.join("store")).map_err(in_target)?.first() {
        let reason = "its copy is missing or damaged; nothing was backed up";
        return Err(failed(file, &reason));
    }
    let now = jiff::Timestamp::try_from(clock::now()).map_err(|error| failed(target, &error))?;
    let place = to.join(now.strftime(NAME).to_string());
    fs::rename(&partial, &place).and_then(|()| folder::sync(&to)).map_err(in_target)?;
    let mut removed = backups(&to).map_err(in_target)?;
    removed.truncate(keep.map_or(0, |keep| removed.len().saturating_sub(keep.max(1))));
    for old in &removed {
        // Under another name first: a part of it must not look like a backup.
        fs::rename(old, &partial).and_then(|()| fs::remove_dir_all(&partial)).map_err(in_target)?;
    }
    let folder = target.join(place.file_name().unwrap_or_default());
    Ok(Backup { folder, copied, removed, tables_at })
}

fn lock(target: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(target.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another backup is running")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Returns the complete backups, the oldest first.
fn backups(target: &Path) -> io::Result<Vec<PathBuf>> {
    let is_backup = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| jiff::civil::DateTime::strptime(NAME, name).is_ok())
    };
    let entries = fs::read_dir(target)?.collect::<io::Result<Vec<_>>>()?;
    let mut found: Vec<PathBuf> =
        entries.into_iter().map(|entry| entry.path()).filter(is_backup).collect();
    found.sort();
    Ok(found)
}
