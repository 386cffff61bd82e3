//! Read-only inspection of spools.

use std::io;
use std::path::{Path, PathBuf};

use streamtable_schema::{TablePath, Timestamp};

use super::acked::Acked;
use super::disk::{Disk, How, Machine, list_or_none};
use super::frame::Header;
use super::layout;
use super::orphan::{Identity, Loaded, Merge, identify};
use super::recover::writers_of;

/// Depth of a writer's folder below the spool's: server, entity, project, table.
const DEPTH: usize = 4;

/// The spool of one writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The writer's folder.
    pub dir: PathBuf,
    /// The writer's id.
    pub writer: String,
    /// The state of the spool.
    pub state: EntryState,
    /// The server that the rows are for; `None` if it is unknown.
    pub server: Option<String>,
    /// The table that the rows are for; `None` if it is unknown.
    pub table: Option<TablePath>,
    /// When the spool was created.
    pub created: Option<Timestamp>,
    /// The id of the process that created it, on the machine where it ran.
    pub process: Option<u32>,
    /// Number of rows that wait for delivery.
    pub rows: u64,
    /// Number of media files that wait for delivery.
    pub media_files: u64,
    /// Size of the files in bytes, including allocated but unused space.
    pub bytes: u64,
    /// The damage that was found.
    pub problems: Vec<Problem>,
}

/// The state of a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// A running process writes or delivers it.
    Live,
    /// Orphaned. The next process that opens the table delivers it, or [`sync`](super::sync()).
    Waiting,
    /// A newer version of this library wrote it, and only such a version can deliver it.
    Newer {
        /// The version of the format.
        version: u32,
    },
    /// The headers are damaged, so the writer and the table are unknown.
    Unreadable,
}

/// Damage in a spool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Damaged bytes between frames or inside them.
    #[error("{bytes} bytes at {offset} of {} are damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The position in the file.
        offset: u64,
        /// The number of damaged bytes.
        bytes: u64,
    },
    /// An incomplete row at the end of a file.
    #[error("{bytes} bytes at the end of {} are an incomplete row", path.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// The number of bytes.
        bytes: u64,
    },
    /// Rows that are missing according to the line numbers.
    #[error("{rows} rows before row {line} are missing")]
    Missing {
        /// The number of the row after them, counted from the writer's first.
        line: u64,
        /// The number of missing rows.
        rows: u64,
    },
    /// A damaged media file.
    #[error("the media file {} is damaged", path.display())]
    Media {
        /// The file.
        path: PathBuf,
    },
}

/// The result of [`export`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// The number of exported rows.
    pub rows: u64,
    /// The number of damaged places, whose rows are not exported.
    pub damaged: u64,
}

/// Lists the spools below a folder, sorted by their folders, and checks all their bytes.
///
/// Returns an empty list if the folder does not exist. The entry of a [live](EntryState::Live)
/// spool may be out of date, and its last row may look torn.
pub fn list(root: &Path) -> io::Result<Vec<Entry>> {
    let disk: &dyn Disk = &Machine;
    let mut entries = Vec::new();
    for table_dir in table_dirs(disk, root)? {
        for writer in writers_of(disk, &table_dir)? {
            let dir = table_dir.join(&writer);
            let names = list_or_none(disk, &dir)?;
            if !names.is_empty() {
                match entry(disk, &table_dir, dir, writer, &names) {
                    // The process has finished in the meantime and removed the spool.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    entry => entries.push(entry?),
                }
            }
        }
    }
    Ok(entries)
}

/// Reads the unsettled rows of one spool, given the writer's folder. Calls `each` with the wire
/// number and the JSON of each row. The spool is not changed.
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
        Identity::Damaged => {
            return Err(io::Error::other("the headers are damaged: the writer is unknown"));
        }
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

/// Returns the table folders below a spool folder.
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
    // Released at the end of this function.
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
    let media = super::media::MediaSpool::new(std::sync::Arc::new(Machine), &dir, false);
    for name in media.names()? {
        entry.media_files += 1;
        if media.read(&name)?.is_none() {
            entry.problems.push(Problem::Media { path: media.file(&name) });
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
    /// Consecutive rows, with the number of the first.
    Rows(u64, Vec<&'a [u8]>),
    Problem(Problem),
}

/// Visits all lines that are not settled.
fn walk(
    disk: &dyn Disk,
    dir: &Path,
    segments: &[u64],
    header: &Header,
    mut each: impl FnMut(Walk<'_>),
) -> io::Result<()> {
    let mut merge = Merge::new(disk, dir, segments, Acked::peek(disk, dir, header.salt())?)?;
    for (i, &number) in segments.iter().enumerate() {
        let path = dir.join(layout::segment_name(number));
        let loaded = match Loaded::read(disk, &path, header.salt()) {
            // A running process removes settled segments.
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
    if merge.missing_at_end() > 0 {
        let rows = merge.missing_at_end();
        each(Walk::Problem(Problem::Missing { line: merge.next + rows, rows }));
    }
    Ok(())
}
