//! The spool that a process left behind.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use streamtable_schema::{ColumnPolicy, TableName, TablePath};

use super::acked::Acked;
use super::disk::{Disk, How, Lock, create_dirs, gone};
use super::frame::{FRAME_OVERHEAD, Header, MAX_TEXT_BYTES, NoHeader, Scan, scan};
use super::journal::{MAX_SEGMENT_BYTES, remove_writer};
use super::layout;
use super::pictures::Pictures;
use super::refusals::Refusals;
use crate::lines::Block;

/// What is longer was not written by a spool.
const MAX_FILE_BYTES: u64 =
    MAX_SEGMENT_BYTES + (MAX_TEXT_BYTES + FRAME_OVERHEAD + (1 << 20)) as u64;

/// Bytes that hold any header.
const HEAD_BYTES: usize = (64 << 10) + 64;

/// What was found in a writer's folder.
#[derive(Debug)]
pub(crate) enum Found {
    /// Rows that nobody delivers.
    Dead(Box<Dead>),
    /// A process that lives has it.
    Busy,
    /// Nothing any more.
    Gone,
    /// A later version of this code wrote it.
    Newer(u32),
    /// Nobody knows whose rows they are.
    Unreadable,
}

/// A writer's spool, held by its lock.
#[derive(Debug)]
pub(crate) struct Dead {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) table_dir: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) header: Header,
    pub(crate) table: TablePath,
    /// The numbers of the segments, growing.
    pub(crate) segments: Vec<u64>,
    pub(crate) acked: Acked,
    pub(crate) pictures: Arc<Pictures>,
    pub(crate) refusals: Refusals,
    _lock: Box<dyn Lock>,
}

/// A segment in memory.
#[derive(Debug)]
pub(crate) struct Loaded {
    bytes: Vec<u8>,
    pub(crate) scan: Scan,
}

impl Dead {
    pub(crate) fn open(disk: &Arc<dyn Disk>, table_dir: &Path, writer: &str) -> io::Result<Found> {
        let lock_path = layout::lock(table_dir, writer);
        let Some(lock) = disk.lock(&lock_path)? else { return Ok(Found::Busy) };
        let dir = table_dir.join(writer);
        let names = match disk.list(&dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                gone(disk.remove_file(&lock_path))?;
                return Ok(Found::Gone);
            }
            names => names?,
        };
        let segments: Vec<u64> =
            names.iter().filter_map(|name| layout::segment_number(name)).collect();
        let pictures = Arc::new(Pictures::new(Arc::clone(disk), &dir, false));
        let (header, table) = match identify(&**disk, &dir, &segments)? {
            Identity::Known(header, table) if header.writer == writer => (header, table),
            Identity::Newer(version) => return Ok(Found::Newer(version)),
            Identity::Known(..) | Identity::Damaged => return Ok(Found::Unreadable),
            // Whoever began it came no further.
            Identity::Empty => {
                let paths: Vec<_> =
                    segments.iter().map(|&n| dir.join(layout::segment_name(n))).collect();
                remove_writer(&**disk, table_dir, &dir, &paths, &pictures)?;
                return Ok(Found::Gone);
            }
        };
        Ok(Found::Dead(Box::new(Self {
            acked: Acked::open(&**disk, &dir)?,
            refusals: Refusals::new(Arc::clone(disk), table_dir, u64::MAX),
            disk: Arc::clone(disk),
            table_dir: table_dir.to_owned(),
            dir,
            header,
            table,
            segments,
            pictures,
            _lock: lock,
        })))
    }

    /// What the server should do with columns that the table lacks.
    pub(crate) fn columns(&self) -> ColumnPolicy {
        if self.header.columns == "strict" { ColumnPolicy::Strict } else { ColumnPolicy::Evolve }
    }

    pub(crate) fn segment_path(&self, number: u64) -> PathBuf {
        self.dir.join(layout::segment_name(number))
    }

    /// Copies damaged bytes to where they hinder nobody, and returns the place.
    pub(crate) fn set_aside(&self, number: u64, at: usize, bytes: &[u8]) -> io::Result<PathBuf> {
        let to = self.aside(&format!("{number:08}-{at:08}.bin"))?;
        let file = self.disk.open(&to, How::Write)?;
        file.write_all_at(bytes, 0)?;
        Ok(to)
    }

    /// Moves a damaged file there.
    pub(crate) fn move_aside(&self, path: &Path, name: &str) -> io::Result<PathBuf> {
        let to = self.aside(name)?;
        self.disk.rename(path, &to)?;
        Ok(to)
    }

    fn aside(&self, name: &str) -> io::Result<PathBuf> {
        let dir = self.table_dir.join(layout::SET_ASIDE);
        create_dirs(&*self.disk, &dir, false)?;
        Ok(dir.join(format!("{}-{name}", self.header.writer)))
    }

    /// Removes the spool: all that it held is settled.
    pub(crate) fn remove(self) -> io::Result<()> {
        let paths: Vec<_> = self.segments.iter().map(|&n| self.segment_path(n)).collect();
        remove_writer(&*self.disk, &self.table_dir, &self.dir, &paths, &self.pictures)
    }
}

/// Whose spool it is.
pub(crate) enum Identity {
    Known(Header, TablePath),
    Newer(u32),
    Empty,
    Damaged,
}

/// Finds out whose spool it is, from the first segment whose header is whole.
pub(crate) fn identify(disk: &dyn Disk, dir: &Path, segments: &[u64]) -> io::Result<Identity> {
    let mut is_empty = true;
    for &number in segments {
        let file = disk.open(&dir.join(layout::segment_name(number)), How::Read)?;
        let head = file.read_from(0, HEAD_BYTES)?;
        match Header::read(&head) {
            Ok((header, _)) => {
                let table = header.table.parse::<TableName>().and_then(|name| name.to_path());
                return Ok(match table {
                    Ok(table) => Identity::Known(header, table),
                    Err(_) => Identity::Damaged,
                });
            }
            Err(NoHeader::Newer(version)) => return Ok(Identity::Newer(version)),
            Err(NoHeader::Damaged) => is_empty &= head.iter().all(|&byte| byte == 0),
        }
    }
    Ok(if is_empty { Identity::Empty } else { Identity::Damaged })
}

impl Loaded {
    /// Reads a segment; what no header begins is searched for frames all the same.
    pub(crate) fn read(disk: &dyn Disk, path: &Path, salt: u32) -> io::Result<Self> {
        let file = disk.open(path, How::Read)?;
        if file.len()? > MAX_FILE_BYTES {
            let message = format!("{} is longer than any segment", path.display());
            return Err(io::Error::new(ErrorKind::InvalidData, message));
        }
        let bytes = file.read_all(MAX_FILE_BYTES)?;
        let start = Header::read(&bytes).map_or(0, |(_, end)| end);
        let scan = scan(&bytes, start, salt);
        Ok(Self { bytes, scan })
    }

    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }
}

/// Puts the lines of a writer's segments together, one segment after the other.
///
/// What could not be made safe was written again, to a segment that begins with an earlier line
/// than its forerunner ended with. Of the two copies either may be damaged, or not whole.
#[derive(Debug)]
pub(crate) struct Merge {
    /// With which line each segment begins, if it says so.
    starts: Vec<Option<u64>>,
    /// Lines of earlier segments that a later one may hold, too.
    carried: Vec<(u64, Vec<u8>)>,
    /// The number of the next line.
    pub(crate) next: u64,
}

impl Merge {
    /// Begins with what is not settled. What was before the first segment was, and was removed.
    pub(crate) fn new(
        disk: &dyn Disk,
        dir: &Path,
        segments: &[u64],
        settled: u64,
    ) -> io::Result<Self> {
        let start = |&number: &u64| -> io::Result<Option<u64>> {
            match disk.open(&dir.join(layout::segment_name(number)), How::Read) {
                Ok(file) => {
                    let header = Header::read(&file.read_from(0, HEAD_BYTES)?);
                    Ok(header.ok().map(|(header, _)| header.line))
                }
                // A process that lives removes what is settled.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        };
        let starts = segments.iter().map(start).collect::<io::Result<Vec<_>>>()?;
        let first = starts.iter().flatten().min().copied();
        Ok(Self { starts, carried: Vec::new(), next: settled.max(first.unwrap_or_default()) })
    }

    /// Tells whether lines of earlier segments were not returned yet.
    pub(crate) fn is_carrying(&self) -> bool {
        !self.carried.is_empty()
    }

    /// Takes the segment at that place, and returns the lines that no later one holds: consecutive
    /// lines together, each time with the first one's number.
    pub(crate) fn take(&mut self, index: usize, loaded: &Loaded) -> Vec<(u64, Block)> {
        let carried = std::mem::take(&mut self.carried);
        let own = loaded.scan.frames.iter();
        let mut lines: Vec<(u64, &[u8])> = carried
            .iter()
            .map(|(line, text)| (*line, &**text))
            .chain(own.map(|frame| (frame.line, loaded.bytes(frame.text.clone()))))
            .collect();
        lines.sort_by_key(|&(line, _)| line);
        lines.dedup_by_key(|&mut (line, _)| line);
        lines.retain(|&(line, _)| line >= self.next);
        let later = self.starts.iter().skip(index + 1).flatten().min();
        if let Some(&later) = later {
            let end = lines.partition_point(|&(line, _)| line < later);
            self.carried = lines.drain(end..).map(|(line, text)| (line, text.to_vec())).collect();
        }
        let runs = lines.chunk_by(|a, b| a.0 + 1 == b.0).map(|run| {
            let (mut texts, mut ends) = (Vec::new(), Vec::new());
            for (_, text) in run {
                texts.extend_from_slice(text);
                ends.push(texts.len());
            }
            (run[0].0, Block::new(texts, ends))
        });
        runs.collect()
    }
}
