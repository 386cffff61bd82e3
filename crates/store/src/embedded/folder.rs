//! Where a table lies on disk.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use streamtable_schema::TablePath;

use super::state::StoredState;
use crate::log::sync_folder;

/// The folder of tables, below that of the store.
pub(crate) const TABLES: &str = "tables";

/// A table's own state, beside what other readers of the folder know. They pass over names that
/// begin with `_`.
const STATE: &str = "_streamtable/state.json";

/// Returns a table's folder: `tables/entity/project/table`.
pub(super) fn table_folder(root: &Path, table: &TablePath) -> PathBuf {
    let mut folder = root.join(TABLES);
    for part in [table.entity(), table.project(), table.table()] {
        folder.push(file_name(part));
    }
    folder
}

/// Turns a name into one that every file system takes, and no other name has: signs that are not
/// plain, and a dot in front, become `~` and their number.
fn file_name(name: &str) -> String {
    let mut out = String::new();
    for (i, byte) in name.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_hidden = i == 0 && matches!(byte, b'.' | b'_');
        if is_plain && !is_hidden {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("~{byte:02X}"));
        }
    }
    out
}

/// Writes a table's state down; either all of it is there afterwards, or all of what was.
pub(super) fn write_state(folder: &Path, state: &StoredState) -> io::Result<()> {
    let path = folder.join(STATE);
    let parent = path.parent().unwrap_or(folder);
    fs::create_dir_all(parent)?;
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(state).map_err(io::Error::other)?)?;
    file.sync_all()?;
    fs::rename(&temporary, &path)?;
    sync_folder(parent)
}

/// Reads the states of all tables, each with its folder.
pub(super) fn read_states(root: &Path) -> io::Result<Vec<(PathBuf, StoredState)>> {
    let mut states = Vec::new();
    for entity in subfolders(&root.join(TABLES))? {
        for project in subfolders(&entity)? {
            for table in subfolders(&project)? {
                let path = table.join(STATE);
                let text = match fs::read(&path) {
                    Ok(text) => text,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
                match serde_json::from_slice(&text) {
                    Ok(state) => states.push((table, state)),
                    Err(error) => {
                        let message = format!("{} cannot be read: {error}", path.display());
                        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                    }
                }
            }
        }
    }
    Ok(states)
}

fn subfolders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

/// Makes a file that another library wrote durable, and its name with it.
pub(super) fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    path.parent().map_or(Ok(()), sync_folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders() {
        #[track_caller]
        fn check(name: &str, expected: &str) {
            assert_eq!(file_name(name), expected);
        }
        check("requests.v1", "requests.v1");
        check("..", "~2E.");
        check("a b~/c", "a~20b~7E~2Fc");
        check("_delta_log", "~5Fdelta_log");
        check("é", "~C3~A9");
        let path = TablePath::new("me", "my project", "t").unwrap();
        let folder = table_folder(Path::new("/d"), &path);
        assert_eq!(folder, Path::new("/d/tables/me/my~20project/t"));
    }
}
