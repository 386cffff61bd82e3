//! Daily copies of a catalog: the last few are kept, and a damaged catalog can be replaced by one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{CatalogError, check_pages, files_of, generation};
use crate::{clock, folder};

/// Number of copies that are kept.
const KEPT: usize = 5;

/// Maximum age of the newest copy.
const INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// The copies of a catalog, in a folder beside it.
#[derive(Clone, Debug)]
pub(super) struct Copies {
    catalog: PathBuf,
    folder: PathBuf,
}

/// A usable copy.
#[derive(Debug)]
pub(super) struct UsableCopy {
    pub(super) path: PathBuf,
    /// The number of changes in it.
    pub(super) generation: u64,
}

impl Copies {
    pub(super) fn of(catalog: &Path) -> Self {
        let folder = catalog.with_file_name("catalog-copies");
        Self { catalog: catalog.to_owned(), folder }
    }

    /// Returns whether the newest copy is older than a day. A copy dated more than a day in the
    /// future counts as old: the clock was wrong.
    pub(super) fn are_due(&self) -> io::Result<bool> {
        let Some((_, newest)) = self.list()?.pop() else { return Ok(true) };
        let (made, now) = (fs::metadata(newest)?.modified()?, clock::now());
        let age = now.duration_since(made).or_else(|_| made.duration_since(now));
        Ok(age.is_ok_and(|age| age >= INTERVAL))
    }

    /// Makes a copy, and removes all but the newest [`KEPT`] copies.
    pub(super) fn make(&self, catalog: &Connection) -> Result<(), CatalogError> {
        let last = self.list()?.last().map_or(0, |(number, _)| *number);
        folder::make_private(&self.folder)?;
        let beside = self.folder.join("new");
        remove_if_there(&beside)?;
        copy_into(catalog, &beside)?;
        fs::rename(&beside, self.folder.join(format!("{:06}.db", last + 1)))?;
        folder::sync(&self.folder)?;
        let mut copies = self.list()?;
        for (_, path) in copies.drain(..copies.len().saturating_sub(KEPT)) {
            fs::remove_file(path)?;
        }
        Ok(())
    }

    /// Returns the newest copy that is undamaged and has a key, and a sentence on each copy that
    /// cannot be used.
    pub(super) fn newest_usable(&self) -> (Option<UsableCopy>, Vec<String>) {
        let check = |path: &Path| {
            if !fs::metadata(path)?.is_file() {
                return Err(io::Error::other("it is not a regular file").into());
            }
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let copy = Connection::open_with_flags(path, flags)?;
            check_pages(&copy)?;
            let keys: i64 = copy.query_row("SELECT count(*) FROM keys", [], |row| row.get(0))?;
            let generation = generation(&copy)?;
            Ok::<_, CatalogError>((keys > 0).then_some(generation))
        };
        let (mut newest, mut problems) = (None, Vec::new());
        let copies = self.list().unwrap_or_else(|error| {
            tracing::error!(%error, "the catalog's copies cannot be listed");
            problems.push(format!("the catalog's daily copies cannot be listed: {error}"));
            Vec::new()
        });
        for (_, path) in copies.into_iter().rev() {
            match check(&path) {
                Ok(Some(generation)) => {
                    newest.get_or_insert(UsableCopy { path, generation });
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(copy = ?path.file_name(), %error, "a catalog copy is damaged");
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    let what = match error {
                        CatalogError::Unavailable { .. } => "cannot be read",
                        _ => "is damaged",
                    };
                    problems.push(format!(
                        "the daily copy catalog-copies/{name} of the catalog {what}"
                    ));
                }
            }
        }
        (newest, problems)
    }

    /// Copies `copy` to the catalog's path, where no file may exist.
    pub(super) fn restore(&self, copy: &UsableCopy) -> io::Result<()> {
        let beside = self.catalog.with_extension("restored");
        remove_if_there(&beside)?;
        fs::copy(&copy.path, &beside)?;
        File::open(&beside)?.sync_all()?;
        fs::rename(beside, &self.catalog)?;
        sync_parent(&self.catalog)
    }

    /// Moves the catalog's files into a new folder, and returns the folder. With `with_copies`,
    /// moves the copies too: otherwise a new catalog, with fewer changes than they have, would look
    /// lost.
    pub(super) fn set_catalog_aside(&self, with_copies: bool) -> io::Result<PathBuf> {
        let aside = (1..)
            .map(|n: u32| self.catalog.with_file_name(format!("catalog-aside-{n}")))
            .find(|folder| !folder.exists())
            .ok_or_else(|| io::Error::other("every name for the new folder is taken"))?;
        folder::make_private(&aside)?;
        // Move the log before the database. If this stops half-way, an older catalog is left, which
        // the record detects, and never a log that belongs to another database.
        let [catalog, log, index, record] = &files_of(&self.catalog);
        let copies = with_copies.then_some(&self.folder);
        for path in [log, index, catalog, record].into_iter().chain(copies) {
            let Some(name) = path.file_name() else { continue };
            match fs::rename(path, aside.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                moved => moved?,
            }
        }
        folder::sync(&aside)?;
        sync_parent(&self.catalog)?;
        Ok(aside)
    }

    /// Returns the copies with their numbers, oldest first.
    fn list(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut copies = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".db"));
            if let Some(number) = number.and_then(|number| number.parse().ok()) {
                copies.push((number, path));
            }
        }
        copies.sort();
        Ok(copies)
    }
}

/// Creates an empty file that only its owner can open. SQLite keeps the file's mode.
/// Copies a catalog to a new file, durably.
pub(super) fn copy_into(catalog: &Connection, path: &Path) -> Result<(), CatalogError> {
    make_private_file(path)?;
    if let Err(error) = catalog.execute("VACUUM INTO ?1", [path_text(path)?]) {
        // The disk may be full: do not leave an incomplete copy.
        remove_if_there(path)?;
        return Err(error.into());
    }
    Ok(File::open(path)?.sync_all()?)
}

pub(super) fn make_private_file(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?;
    Ok(())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    folder::sync(parent.unwrap_or(Path::new(".")))
}

fn path_text(path: &Path) -> Result<&str, CatalogError> {
    let reason = "the data folder's name is not UTF-8, so no copy of the catalog can be made";
    path.to_str().ok_or_else(|| CatalogError::Failed { reason: reason.to_owned() })
}
