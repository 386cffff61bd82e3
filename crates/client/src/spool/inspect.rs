//! What lies in a spool, for people: nothing here changes anything.

use std::io;
use std::path::{Path, PathBuf};

use streamtable_schema::{TablePath, Timestamp};

use super::acked::Acked;
use super::dead::{Identity, Loaded, Merge, identify};
use super::disk::{Disk, How, Machine, list_or_none};
use super::frame::Header;
use super::layout;
use super::recover::writers_of;

/// How many folders a writer's lies in, below the spool's: server, entity, project, table.
const DEPTH: usize = 4;

/// One writer's spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its folder.
    pub dir: PathBuf,
    /// The writer's id.
    pub writer: String,
    /// What may be done with it.
    pub state: EntryState,
    /// Where its rows go; absent when nobody knows.
    pub server: Option<String>,
    /// The table that they are for.
    pub table: Option<TablePath>,
    /// When its process began it.
    pub created: Option<Timestamp>,
    /// The process that did, on the machine where it did.
    pub process: Option<u32>,
    /// How many rows wait.
    pub rows: u64,
    /// How many media files wait.
    pub media_files: u64,
    /// What its files hold, room included.
    pub bytes: u64,
    /// What is damaged.
    pub problems: Vec<Problem>,
}

/// What may be done with a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// A process that lives writes or delivers it.
    Live,
    /// Nobody does; who opens the table will, or [`sync`](super::sync()).
    Waiting,
    /// A later version of this code wrote it, which must deliver it, too.
    Newer {
        /// Which format it has.
        version: u32,
    },
    /// Nobody knows whose rows it holds.
    Unreadable,
}

/// Something in a spool that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Bytes between frames, or in place of them.
    #[error("{bytes} bytes at {offset} of {} are damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// The end of a file, where a row began that was never whole.
    #[error("{bytes} bytes at the end of {} were never a row", path.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// How many.
        bytes: u64,
    },
    /// Rows whose numbers say that they were there.
    #[error("{rows} rows before row {line} are missing")]
    Missing {
        /// The number of the row behind them, counted from the writer's first.
        line: u64,
        /// How many.
        rows: u64,
    },
    /// A media file that is not whole.
    #[error("the media file {} is damaged", path.display())]
    Media {
        /// The file.
        path: PathBuf,
    },
}

/// What [`export`] read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Rows.
    pub rows: u64,
    /// Damaged places, whose rows are not among them.
    pub damaged: u64,
}

/// Lists the spools below a folder, sorted by their own, and checks every byte of them.
///
/// An empty list stands for a folder that is not there. Of a spool that is [live](EntryState::Live)
/// the answer may be out of date, and the last row torn.
pub fn list(root: &Path) -> io::Result<Vec<Entry>> {
    let disk: &dyn Disk = &Machine;
    let mut entries = Vec::new();
    for table_dir in table_dirs(disk, root)? {
        for writer in writers_of(disk, &table_dir)? {
            let dir = table_dir.join(&writer);
            let names = list_or_none(disk, &dir)?;
            if !names.is_empty() {
                match entry(disk, &table_dir, dir, writer, &names) {
                    // Its process has finished meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    entry => entries.push(entry?),
                }
            }
        }
    }
    Ok(entries)
}

/// Reads the rows of one spool, a writer's folder, that are not settled: calls `each` with the
/// number on the wire and the JSON of each. The spool stays as it is.
pub fn export(dir: &Path, mut each: impl FnMut(u64, &[u8])) -> io::Result<Exported> {
    let disk: &dyn Disk = &Machine;
    let segments = segments(&disk.list(dir)?);
    let header = match identify(disk, dir, &segments)? {
        Identity::Known(header, _) => header,
        Identity::Empty => return Ok(Exported::default()),
        Identity::Newer(version) => {
            let message = format!("format {version} is newer than this program");
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        Identity::Damaged => return Err(io::Error::other("nobody knows whose rows these are")),
    };
    let mut exported = Exported::default();
    walk(disk, dir, &segments, &header, |event| match event {
        Walk::Rows(first, lines) => {
            for (line, text) in (header.base + first..).zip(lines) {
                exported.rows += 1;
                each(line, text);
            }
        }
        Walk::Problem(Problem::Damaged { .. }) => exported.damaged += 1,
        Walk::Problem(_) => {}
    })?;
    Ok(exported)
}

/// The folders of tables below a spool's.
pub(crate) fn table_dirs(disk: &dyn Disk, root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut dirs = vec![root.to_owned()];
    for _ in 0..DEPTH {
        let mut below = Vec::new();
        for dir in &dirs {
            below.extend(list_or_none(disk, dir)?.iter().map(|name| dir.join(name)));
        }
        dirs = below;
    }
    Ok(dirs)
}

fn segments(names: &[String]) -> Vec<u64> {
    names.iter().filter_map(|name| layout::segment_number(name)).collect()
}

fn entry(
    disk: &dyn Disk,
    table_dir: &Path,
    dir: PathBuf,
    writer: String,
    names: &[String],
) -> io::Result<Entry> {
    let segments = segments(names);
    // Held only for this look.
    let lock = disk.lock(&layout::lock(table_dir, &writer))?;
    let state = if lock.is_some() { EntryState::Waiting } else { EntryState::Live };
    let mut entry = Entry {
        writer,
        state,
        server: None,
        table: None,
        created: None,
        process: None,
        rows: 0,
        media_files: 0,
        bytes: bytes(disk, &dir)?,
        problems: Vec::new(),
        dir,
    };
    let header = match identify(disk, &entry.dir, &segments)? {
        Identity::Known(header, table) => {
            entry.table = Some(table);
            header
        }
        Identity::Empty => return Ok(entry),
        Identity::Newer(version) => {
            entry.state = EntryState::Newer { version };
            return Ok(entry);
        }
        Identity::Damaged => {
            entry.state = EntryState::Unreadable;
            return Ok(entry);
        }
    };
    let dir = entry.dir.clone();
    walk(disk, &dir, &segments, &header, |event| match event {
        Walk::Rows(_, lines) => entry.rows += lines.len() as u64,
        Walk::Problem(problem) => entry.problems.push(problem),
    })?;
    let pictures = super::pictures::Pictures::new(std::sync::Arc::new(Machine), &dir, false);
    for name in pictures.names()? {
        entry.media_files += 1;
        if pictures.read(&name)?.is_none() {
            entry.problems.push(Problem::Media { path: pictures.file(&name) });
        }
    }
    entry.server = Some(header.server);
    entry.created = Some(Timestamp::from_micros(header.created));
    entry.process = Some(header.process);
    Ok(entry)
}

fn bytes(disk: &dyn Disk, dir: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for dir in [dir.to_owned(), dir.join(layout::MEDIA)] {
        for name in list_or_none(disk, &dir)? {
            if name != layout::MEDIA {
                sum += disk.open(&dir.join(name), How::Read)?.len()?;
            }
        }
    }
    Ok(sum)
}

enum Walk<'a> {
    /// Consecutive rows, and the first one's number.
    Rows(u64, Vec<&'a [u8]>),
    Problem(Problem),
}

/// Goes through what is not settled.
fn walk(
    disk: &dyn Disk,
    dir: &Path,
    segments: &[u64],
    header: &Header,
    mut each: impl FnMut(Walk<'_>),
) -> io::Result<()> {
    let mut merge = Merge::new(disk, dir, segments, Acked::peek(disk, dir)?)?;
    for (i, &number) in segments.iter().enumerate() {
        let path = dir.join(layout::segment_name(number));
        let loaded = match Loaded::read(disk, &path, header.salt()) {
            // A process that lives removes what is settled.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            loaded => loaded?,
        };
        for range in &loaded.scan.damaged {
            let (offset, bytes) = (range.start as u64, range.len() as u64);
            each(Walk::Problem(Problem::Damaged { path: path.clone(), offset, bytes }));
        }
        if !loaded.scan.torn.is_empty() {
            let bytes = loaded.scan.torn.len() as u64;
            each(Walk::Problem(Problem::Torn { path: path.clone(), bytes }));
        }
        for (first, block) in merge.take(i, &loaded) {
            if first > merge.next {
                let rows = first - merge.next;
                each(Walk::Problem(Problem::Missing { line: first, rows }));
            }
            merge.next = first + block.len() as u64;
            each(Walk::Rows(first, block.lines().collect()));
        }
    }
    Ok(())
}
