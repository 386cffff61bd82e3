//! Copies of a store's folder and of uploaded files, made while a server uses them.
//!
//! The order makes a copy complete: the log first, then the states of tables, then the files that
//! they name, which are kept for a while after they are replaced. Rows that were acknowledged before
//! the copy began are in it; rows that arrive during the copy may be in it or not.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use crate::disk::{create_dir_all_synced, is_absent, named, open_regular, replace, sync_folder};
use crate::embedded::TABLES;
use crate::place::{TABLES_AT, copied_mark, tables_of};

/// How much of a file is copied at a time.
const PIECE: usize = 1 << 18;

/// The size of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files of the copy.
    pub files: u64,
    /// Bytes of the copy, without large runs of zeros, which take no space.
    pub bytes: u64,
    /// Those of the bytes that were copied. The others are shared with an earlier copy.
    pub new_bytes: u64,
}

/// Copies files of one folder into another.
pub struct Copier<'a> {
    earlier: Option<PathBuf>,
    copied: Copied,
    progress: &'a mut dyn FnMut(Copied),
}

impl std::fmt::Debug for Copier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copier").field("copied", &self.copied).finish_non_exhaustive()
    }
}

/// Which files to copy, and whether a file of this name always has the same content.
type Select = fn(&Path) -> Option<Content>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Changes,
    Fixed,
}

impl<'a> Copier<'a> {
    /// Creates a copier. Files whose content is fixed are shared with an earlier copy, if there is
    /// one on the same file system. `progress` is called after each file.
    pub fn new(earlier: Option<PathBuf>, progress: &'a mut dyn FnMut(Copied)) -> Self {
        Self { earlier, copied: Copied::default(), progress }
    }

    /// Returns what was copied so far.
    pub fn copied(&self) -> Copied {
        self.copied
    }

    /// Copies a store's folder, `store` in `from`, to the same place in `to`. Returns the URL of its
    /// tables if they are in a bucket, which are not copied. A store that is opened in the copy may use
    /// them only once its user gives them to it. Blocks.
    pub fn store(&mut self, from: &Path, to: &Path) -> io::Result<Option<String>> {
        let elsewhere = tables_of(&from.join("store")).map_err(io::Error::other)?;
        if let Some(url) = &elsewhere {
            create_dir_all_synced(&to.join("store"))?;
            replace(&to.join("store").join(TABLES_AT), &copied_mark(url))?;
        }
        let tables = Path::new("store").join(TABLES);
        self.folder(from, to, Path::new("store/log"), |_| Some(Content::Changes))?;
        self.folder(from, to, &tables, |path| (!has_rows(path)).then_some(Content::Changes))?;
        self.folder(from, to, &tables, |path| has_rows(path).then_some(Content::Fixed))?;
        Ok(elsewhere)
    }

    /// Copies the folder of uploaded files, `files` in `from`, to the same place in `to`. Blocks.
    pub fn files(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.folder(from, to, Path::new("files"), |path| {
            let is_named_by_content = path.file_name().is_some_and(|name| name.len() == 64);
            is_named_by_content.then_some(Content::Fixed)
        })
    }

    /// Copies one file whose content may change, if it exists. Blocks.
    pub fn file(&mut self, from: &Path, to: &Path, name: &Path) -> io::Result<()> {
        self.one(from, to, name, Content::Changes)
    }

    /// Copies the selected files below a folder. Links are followed, as servers follow them.
    fn folder(&mut self, from: &Path, to: &Path, folder: &Path, select: Select) -> io::Result<()> {
        let place = from.join(folder);
        let entries = match fs::read_dir(&place) {
            Err(error) if is_absent(&error) => return Ok(()),
            entries => entries.map_err(named(&place))?.collect::<io::Result<Vec<_>>>()?,
        };
        create_dir_all_synced(&to.join(folder))?;
        let mut names: Vec<_> = entries.into_iter().map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            let path = folder.join(&name);
            match fs::metadata(from.join(&path)) {
                Ok(found) if found.is_dir() => self.folder(from, to, &path, select)?,
                Ok(found) if found.is_file() => {
                    if let Some(content) = select(&path) {
                        self.one(from, to, &path, content)?;
                    }
                }
                // Neither the server nor its copy can use a pipe or a socket.
                Ok(_) => {}
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(named(&from.join(&path))(error)),
            }
        }
        sync_folder(&to.join(folder))
    }

    fn one(&mut self, from: &Path, to: &Path, name: &Path, content: Content) -> io::Result<()> {
        let target = to.join(name);
        let mut input = match open_regular(&from.join(name)) {
            // It was replaced or trimmed since its folder was listed: nothing needs it any more.
            Err(error) if is_absent(&error) => return Ok(()),
            input => input?,
        };
        let size = input.metadata()?.len();
        let shared = self.earlier.as_ref().map(|earlier| earlier.join(name));
        let shared = shared.filter(|_| content == Content::Fixed);
        let is_shared = shared.is_some_and(|shared| {
            let is_same = fs::metadata(&shared).is_ok_and(|found| found.len() == size);
            is_same && fs::hard_link(shared, &target).is_ok()
        });
        let mut bytes = size;
        if !is_shared {
            bytes = 0;
            let mut output = File::create_new(&target).map_err(named(&target))?;
            let mut piece = vec![0; PIECE];
            loop {
                let count = input.read(&mut piece).map_err(named(&from.join(name)))?;
                if count == 0 {
                    break;
                }
                let part = &piece[..count];
                // The rest of a file of the log is zero, and takes no space in the copy.
                if part.iter().all(|byte| *byte == 0) {
                    output.seek_relative(count as i64).map_err(named(&target))?;
                } else {
                    output.write_all(part).map_err(named(&target))?;
                    bytes += count as u64;
                }
            }
            let length = output.stream_position().map_err(named(&target))?;
            output.set_len(length).map_err(named(&target))?;
            output.sync_all().map_err(named(&target))?;
            self.copied.new_bytes += bytes;
        }
        self.copied.files += 1;
        self.copied.bytes += bytes;
        (self.progress)(self.copied);
        Ok(())
    }
}

/// Returns whether a file has a table's rows: nothing else that a store writes is Parquet.
fn has_rows(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "parquet")
}
