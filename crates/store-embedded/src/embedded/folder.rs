//! The folder of a table on disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use streamtable_schema::TablePath;

use super::parquet::{FileState, state_of};
use super::state::{DataFile, StoredState};
use crate::copies::{Copies, has_copy};
use crate::disk::{cause, is_absent, named, read_regular};

/// The folder of tables, below the store's folder.
pub(crate) const TABLES: &str = "tables";

/// The folder of files that only this store reads. Other readers of the table's folder skip names
/// that begin with `_`.
const OWN: &str = "_streamtable";

/// The name of a table's state in [`OWN`].
const STATE: &str = "state";

/// The state's file name before it was kept as two copies with checksums.
const OLD_STATE: &str = "state.json";

/// The longest folder name in bytes that every common file system supports.
const MAX_NAME: usize = 255;

/// The number of bytes of a longer name that are kept before its hash.
const KEPT_NAME: usize = 160;

/// Returns a table's folder: `tables/entity/project/table`.
pub(super) fn table_folder(root: &Path, table: &TablePath) -> PathBuf {
    let mut folder = root.join(TABLES);
    for part in [table.entity(), table.project(), table.table()] {
        folder.push(file_name(part));
    }
    folder
}

/// Returns the table of this folder. `None` if a name in it is shortened, or was not made by this
/// store.
pub(super) fn table_of(root: &Path, folder: &Path) -> Option<TablePath> {
    let names = folder.strip_prefix(root.join(TABLES)).ok()?;
    let names = names.iter().map(|name| name_of(name.to_str()?)).collect::<Option<Vec<_>>>()?;
    let [entity, project, table] = &names[..] else { return None };
    let table = TablePath::new(entity, project, table).ok()?;
    (table_folder(root, &table) == folder).then_some(table)
}

/// Encodes a name so that every file system accepts it and no other name has the same encoding:
/// special characters, and a dot or underscore at the start, become `~` and their code. A name that
/// is too long for a file system ends in `~~` and a hash of the full name.
fn file_name(name: &str) -> String {
    let mut out = String::new();
    let mut kept = 0;
    for (i, byte) in name.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_hidden = i == 0 && matches!(byte, b'.' | b'_');
        if is_plain && !is_hidden {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("~{byte:02X}"));
        }
        if out.len() <= KEPT_NAME {
            kept = out.len();
        }
    }
    if out.len() > MAX_NAME {
        out.truncate(kept);
        out.push_str("~~");
        out.extend(Sha256::digest(name).iter().take(16).map(|byte| format!("{byte:02x}")));
    }
    out
}

/// Returns the name that was passed to [`file_name`], unless it was shortened.
fn name_of(file_name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = file_name.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'~' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Writes a table's state durably. Afterwards either this state or the previous one is on disk.
pub(super) fn write_state(folder: &Path, count: u64, state: &StoredState) -> io::Result<()> {
    let own = folder.join(OWN);
    let content = serde_json::to_vec(state).map_err(io::Error::other)?;
    Copies::new(&own, STATE).write(count, &content)?;
    match fs::remove_file(own.join(OLD_STATE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The result of reading a table's state.
#[derive(Debug, Default)]
pub(super) struct FoundState {
    /// `None` if there is no valid state.
    pub(super) state: Option<StoredState>,
    /// How often the state was written.
    pub(super) count: u64,
    /// Files of the state that are damaged or missing.
    pub(super) damaged: Vec<PathBuf>,
}

/// Reads a table's state. A state that cannot be read counts as damaged.
pub(super) fn read_state(folder: &Path) -> FoundState {
    let own = folder.join(OWN);
    let mut found = Copies::new(&own, STATE).read();
    let count = found.newest.as_ref().map_or(0, |it| it.count);
    let mut state =
        found.newest.and_then(|it| serde_json::from_slice::<StoredState>(&it.content).ok());
    let old = own.join(OLD_STATE);
    if state.is_none() && old.exists() {
        let text = read_regular(&old).unwrap_or_default();
        state = serde_json::from_slice(&text).ok();
        if state.is_none() {
            found.damaged.push(old);
        } else if !has_copy(&own, STATE) {
            found.damaged.clear();
        }
    }
    FoundState { state, count, damaged: found.damaged }
}

/// The content of the folder of all tables.
#[derive(Debug, Default)]
pub(super) struct TableFolders {
    /// The folders of tables.
    pub(super) tables: Vec<PathBuf>,
    /// Folders that cannot be read, or links that lead nowhere, and the reason. Tables in them must
    /// not be written.
    pub(super) unreadable: Vec<(PathBuf, String)>,
    /// Files and other entries that no store makes.
    pub(super) strange: Vec<PathBuf>,
}

/// Lists the folders of all tables. Like writers, it follows symbolic links to folders.
pub(super) fn table_folders(root: &Path) -> TableFolders {
    let mut found = TableFolders::default();
    let mut level = vec![root.join(TABLES)];
    for _ in 0..3 {
        let mut next = Vec::new();
        for folder in level {
            found.list(&folder, &mut next);
        }
        level = next;
    }
    found.tables = level;
    found
}

impl TableFolders {
    fn list(&mut self, folder: &Path, folders: &mut Vec<PathBuf>) {
        let entries = match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return,
            Err(error) => return self.unreadable.push((folder.to_owned(), cause(&error))),
        };
        let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => folders.push(path),
                Ok(_) => self.strange.push(path),
                Err(error) => self.unreadable.push((path, cause(&error))),
            }
        }
    }
}

/// Returns the Parquet files of this store in a table's folder, whether the table needs them or
/// not, in the order of their rows.
pub(super) fn data_files(folder: &Path) -> io::Result<Vec<DataFile>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        entries => entries.map_err(named(folder))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Some(file) = entry.file_name().to_str().and_then(|name| DataFile::from_name(name, 0))
        else {
            continue;
        };
        // The file was deleted since the folder was listed.
        if let Ok(metadata) = entry.metadata() {
            files.push(DataFile { bytes: metadata.len(), ..file });
        }
    }
    files.sort_by(|a, b| (a.first, b.end, &a.name).cmp(&(b.first, a.end, &b.name)));
    Ok(files)
}

/// Reads all data files that the states of tables name, in a store's folder that no server uses.
/// Returns those that are missing or damaged. Blocks.
pub fn damaged_files(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut damaged = Vec::new();
    for folder in table_folders(root).tables {
        for file in read_state(&folder).state.into_iter().flat_map(|state| state.files) {
            if !matches!(state_of(&folder, &file)?, FileState::Whole) {
                damaged.push(folder.join(&file.name));
            }
        }
    }
    Ok(damaged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_folders() {
        #[track_caller]
        fn check(name: &str, expected: &str) {
            assert_eq!(file_name(name), expected);
            assert_eq!(name_of(expected).as_deref(), Some(name));
        }
        check("requests.v1", "requests.v1");
        check("..", "~2E.");
        check("a b~/c", "a~20b~7E~2Fc");
        check("_delta_log", "~5Fdelta_log");
        check("é", "~C3~A9");
        // As long as a file system allows: earlier versions made such folders.
        check(&"é".repeat(42), &"~C3~A9".repeat(42));
        let path = TablePath::new("me", "my project", "t").unwrap();
        let folder = table_folder(Path::new("/d"), &path);
        assert_eq!(folder, Path::new("/d/tables/me/my~20project/t"));
        assert_eq!(table_of(Path::new("/d"), &folder), Some(path));
        assert_eq!(table_of(Path::new("/d"), Path::new("/d/tables/me/my project/t")), None);
    }

    #[test]
    fn long_names_end_in_a_hash() {
        let (one, other) = ("漢".repeat(100), format!("{}字", "漢".repeat(99)));
        assert_ne!(file_name(&one), file_name(&other));
        assert_eq!(file_name(&one).len(), 159 + 2 + 32);
        assert_eq!(name_of(&file_name(&one)), None);
    }

    proptest! {
        /// Every name has a folder name of its own.
        #[test]
        fn any_name(name in "\\PC{1,128}") {
            let file_name = file_name(&name);
            prop_assert!(file_name.len() <= MAX_NAME && !file_name.contains('/'));
            if !file_name.contains("~~") {
                prop_assert_eq!(name_of(&file_name), Some(name));
            }
        }
    }
}
