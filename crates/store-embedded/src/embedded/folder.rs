//! The folder of a table on disk.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use streamtable_schema::TablePath;

use super::parquet::{FileState, state_of};
use super::state::{DataFile, StoredState};
use crate::copies::Copies;
use crate::disk::{cause, is_absent};
use crate::place::{Entry, Folder, is_unavailable};

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
pub(super) fn table_folder(root: &Folder, table: &TablePath) -> Folder {
    let parts = [table.entity(), table.project(), table.table()];
    parts.iter().fold(root.join(TABLES), |folder, part| folder.join(&file_name(part)))
}

/// Returns the table of this folder. `None` if a name in it is shortened, or was not made by this
/// store.
pub(super) fn table_of(root: &Folder, folder: &Folder) -> Option<TablePath> {
    let tables = root.join(TABLES);
    let names = folder.path().strip_prefix(tables.path()).ok()?;
    let names = names.iter().map(|name| name_of(name.to_str()?)).collect::<Option<Vec<_>>>()?;
    let [entity, project, table] = &names[..] else { return None };
    let table = TablePath::new(entity, project, table).ok()?;
    (table_folder(root, &table) == *folder).then_some(table)
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
pub(super) fn write_state(folder: &Folder, count: u64, state: &StoredState) -> io::Result<()> {
    let own = folder.join(OWN);
    let content = serde_json::to_vec(state).map_err(io::Error::other)?;
    Copies::<Folder>::new(own.clone(), STATE).write(count, &content)?;
    // Buckets were not supported when it was written.
    match own.local().map(|own| std::fs::remove_file(own.join(OLD_STATE))) {
        Some(Err(error)) if !is_absent(&error) => Err(error),
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

/// Reads a table's state. A state that a disk cannot read counts as damaged. Fails if a bucket could
/// not be asked.
pub(super) fn read_state(folder: &Folder) -> io::Result<FoundState> {
    let own = folder.join(OWN);
    let mut found = Copies::<Folder>::new(own.clone(), STATE).read()?;
    let count = found.newest.as_ref().map_or(0, |it| it.count);
    let mut state =
        found.newest.and_then(|it| serde_json::from_slice::<StoredState>(&it.content).ok());
    if state.is_none() && own.local().is_some() && own.has(OLD_STATE)? {
        let text = own.read(OLD_STATE).unwrap_or_default();
        state = serde_json::from_slice(&text).ok();
        if state.is_none() {
            found.damaged.push(own.path().join(OLD_STATE));
        } else if !found.exists {
            found.damaged.clear();
        }
    }
    Ok(FoundState { state, count, damaged: found.damaged })
}

/// The content of the folder of all tables.
#[derive(Debug, Default)]
pub(super) struct TableFolders {
    /// The folders of tables.
    pub(super) tables: Vec<Folder>,
    /// Folders that cannot be read, or links that lead nowhere, and the reason. Tables in them must
    /// not be written.
    pub(super) unreadable: Vec<(Folder, String)>,
    /// Files and other entries that no store makes.
    pub(super) strange: Vec<Folder>,
}

/// Lists the folders of all tables. Like writers, it follows symbolic links to folders. Fails if a
/// bucket could not be asked.
pub(super) fn table_folders(root: &Folder) -> io::Result<TableFolders> {
    let mut found = TableFolders::default();
    let mut level = vec![root.join(TABLES)];
    for _ in 0..3 {
        let mut next = Vec::new();
        for folder in level {
            found.list(&folder, &mut next)?;
        }
        level = next;
    }
    found.tables = level;
    Ok(found)
}

impl TableFolders {
    fn list(&mut self, folder: &Folder, folders: &mut Vec<Folder>) -> io::Result<()> {
        let entries = match folder.list() {
            Ok(entries) => entries,
            Err(error) if is_unavailable(&error) => return Err(error),
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => {
                self.unreadable.push((folder.clone(), cause(&error)));
                return Ok(());
            }
        };
        for Entry { folder, found } in entries {
            match found {
                Ok(found) if found.is_folder => folders.push(folder),
                Ok(_) => self.strange.push(folder),
                Err(error) => self.unreadable.push((folder, cause(&error))),
            }
        }
        Ok(())
    }
}

/// Returns the Parquet files of this store in a table's folder, whether the table needs them or
/// not, in the order of their rows.
pub(super) fn data_files(folder: &Folder) -> io::Result<Vec<DataFile>> {
    Ok(dated_files(folder)?.into_iter().map(|(file, _)| file).collect())
}

/// Like [`data_files`], with the time of each file's last change.
pub(super) fn dated_files(folder: &Folder) -> io::Result<Vec<(DataFile, Option<SystemTime>)>> {
    let entries = match folder.list() {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for Entry { folder, found } in entries {
        let name = folder.path().file_name().and_then(|name| name.to_str());
        let Some(file) = name.and_then(|name| DataFile::from_name(name, 0)) else { continue };
        // If there is none, the file was deleted since the folder was listed.
        if let Ok(found) = found {
            files.push((DataFile { bytes: found.bytes, ..file }, found.modified));
        }
    }
    files.sort_by(|(a, _), (b, _)| (a.first, b.end, &a.name).cmp(&(b.first, a.end, &b.name)));
    Ok(files)
}

/// Reads all data files that the states of tables name, in a store's folder that no server uses.
/// Returns those that are missing or damaged. Blocks.
pub fn damaged_files(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut damaged = Vec::new();
    for folder in table_folders(&Folder::from(root))?.tables {
        for file in read_state(&folder)?.state.into_iter().flat_map(|state| state.files) {
            if !matches!(state_of(&folder, &file)?, FileState::Whole) {
                damaged.push(folder.path().join(&file.name));
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
        let root = Folder::from(Path::new("/d"));
        let folder = table_folder(&root, &path);
        assert_eq!(folder.path(), Path::new("/d/tables/me/my~20project/t"));
        assert_eq!(table_of(&root, &folder), Some(path));
        assert_eq!(table_of(&root, &root.join("tables/me/my project/t")), None);
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
