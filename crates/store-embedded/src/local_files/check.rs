//! Compares files with the hash in their name.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use streamtable_store::{Problem, ProblemKind};
use uuid::Uuid;

use super::hex;
use crate::disk::{create_dir_all_synced, is_absent, named, open_regular, sync_folder};

/// The folder of files whose content did not match their name.
const DAMAGED: &str = "damaged";

/// How many verified files are remembered.
const MAX_VERIFIED: usize = 1 << 16;

/// The age from which on a file's stamp identifies its content.
const SETTLED: Duration = Duration::from_secs(1);

/// How many problems are remembered.
const MAX_PROBLEMS: usize = 1000;

/// Which files were verified since the start, and which ones have problems.
#[derive(Debug)]
pub(super) struct Checks {
    root: PathBuf,
    verified: Mutex<HashMap<String, Stamp>>,
    problems: Mutex<BTreeMap<String, Problem>>,
}

/// Identifies the content of a file as long as nothing writes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    inode: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Self { length: metadata.len(), inode: metadata.ino(), changed }
    }
}

impl Checks {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, verified: Mutex::default(), problems: Mutex::default() }
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        self.problems.lock().values().cloned().collect()
    }

    /// Returns the path of a file, relative to the data folder.
    fn shown(&self, path: &Path) -> String {
        let root = self.root.parent().unwrap_or(&self.root);
        path.strip_prefix(root).unwrap_or(path).display().to_string()
    }

    fn report(&self, name: &str, kind: ProblemKind, detail: String) {
        let mut problems = self.problems.lock();
        let is_known = problems.get(name).is_some_and(|known| known.kind == kind);
        if !is_known {
            tracing::error!(kind = kind.as_str(), "{detail}");
        }
        if is_known || problems.len() < MAX_PROBLEMS {
            problems.insert(name.to_owned(), Problem::new(kind, detail));
        }
    }

    /// Records that a file's content was just written durably.
    pub(super) fn stored(&self, name: &str, place: &Path) -> io::Result<()> {
        self.remember(name, &fs::metadata(place)?);
        Ok(())
    }

    fn remember(&self, name: &str, metadata: &Metadata) {
        self.problems.lock().remove(name);
        // A file that is changed within a tick of the clock has the same stamp.
        let age = metadata.modified().ok().and_then(|modified| modified.elapsed().ok());
        if age.is_none_or(|age| age < SETTLED) {
            return;
        }
        let mut verified = self.verified.lock();
        if verified.len() >= MAX_VERIFIED {
            verified.clear();
        }
        verified.insert(name.to_owned(), Stamp::of(metadata));
    }

    /// Returns the length of a file whose content matches its name, or `None` if there is none. A
    /// file that was verified before and did not change since is not read again.
    pub(super) fn len(&self, name: &str, place: &Path) -> io::Result<Option<u64>> {
        let metadata = match fs::metadata(place) {
            Err(error) if is_absent(&error) => return Ok(None),
            metadata => metadata.map_err(named(place))?,
        };
        if self.verified.lock().get(name) == Some(&Stamp::of(&metadata)) {
            return Ok(Some(metadata.len()));
        }
        self.check(name, place)
    }

    /// Reads a file that should exist, and compares it with its name.
    pub(super) fn verify(&self, name: &str, place: &Path) -> io::Result<Option<u64>> {
        let found = self.check(name, place)?;
        let is_reported = || self.problems.lock().contains_key(name);
        if found.is_none() && !is_reported() {
            let detail = format!("{} is missing", self.shown(place));
            self.report(name, ProblemKind::MediaLost, detail);
        }
        Ok(found)
    }

    /// Reads a file, and moves it aside if its content does not match its name. A file that cannot
    /// be read stays in its place, and is reported.
    fn check(&self, name: &str, place: &Path) -> io::Result<Option<u64>> {
        match hash(place) {
            Ok((found, metadata)) if found == name => {
                self.remember(name, &metadata);
                Ok(Some(metadata.len()))
            }
            Ok(_) => self.set_aside(name, place).map(|()| None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(_) if fs::metadata(place).is_ok_and(|it| !it.is_file()) => {
                self.set_aside(name, place).map(|()| None)
            }
            Err(error) => {
                let place = self.shown(place);
                let detail = format!("{place} cannot be read now and is tried again: {error}");
                self.report(name, ProblemKind::Unreadable, detail);
                Err(error)
            }
        }
    }

    /// Moves what is in a file's place away, and reports that the file is lost.
    pub(super) fn set_aside(&self, name: &str, place: &Path) -> io::Result<()> {
        self.verified.lock().remove(name);
        let folder = self.root.join(DAMAGED);
        create_dir_all_synced(&folder)?;
        let aside = folder.join(format!("{name}-{}", Uuid::new_v4().simple()));
        match fs::rename(place, &aside) {
            Err(error) if is_absent(&error) => return Ok(()),
            moved => moved.map_err(named(place))?,
        }
        sync_folder(&folder)?;
        let (place, aside) = (self.shown(place), self.shown(&aside));
        let detail = format!("{place} did not match its hash and was moved to {aside}");
        self.report(name, ProblemKind::MediaLost, detail);
        Ok(())
    }
}

/// Returns the SHA-256 of a file's content.
fn hash(place: &Path) -> io::Result<(String, Metadata)> {
    let mut file = open_regular(place)?;
    let metadata = file.metadata()?;
    let (mut sha256, mut buffer) = (Sha256::new(), vec![0; 1 << 18]);
    loop {
        match file.read(&mut buffer).map_err(named(place))? {
            0 => return Ok((hex(&sha256.finalize()), metadata)),
            count => sha256.update(&buffer[..count]),
        }
    }
}
