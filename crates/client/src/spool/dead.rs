//! The spool that a process left behind.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use streamtable_schema::{ColumnPolicy, TableName, TablePath};

use super::acked::Acked;
use super::disk::{Disk, How, Lock, create_dirs, gone};
use super::frame::{FRAME_OVERHEAD, Frame, Header, MAX_TEXT_BYTES, NoHeader, Scan, scan};
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
    /// The number of its first line, if it has a header that says so.
    first: Option<u64>,
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
        let header = Header::read(&bytes).ok();
        let scan = scan(&bytes, header.as_ref().map_or(0, |&(_, end)| end), salt);
        Ok(Self { bytes, first: header.map(|(header, _)| header.line), scan })
    }

    /// Returns where lines go on when this is the first segment there is: what was before it was
    /// settled, and removed.
    pub(crate) fn begin(&self, settled: u64) -> u64 {
        let first = self.first.or_else(|| Some(self.scan.frames.first()?.line));
        first.map_or(settled, |first| first.max(settled))
    }

    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// Forgets lines before `line`: they are settled, or were in an earlier segment.
    pub(crate) fn skip_to(&mut self, line: u64) {
        self.scan.frames.retain(|frame| frame.line >= line);
    }

    /// Returns consecutive lines together, each time with the first one's number.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (u64, Block)> {
        let runs = self.scan.frames.chunk_by(|a, b| a.line + 1 == b.line);
        runs.map(|run: &[Frame]| {
            let (mut texts, mut ends) = (Vec::new(), Vec::new());
            for frame in run {
                texts.extend_from_slice(&self.bytes[frame.text.clone()]);
                ends.push(texts.len());
            }
            (run[0].line, Block::new(texts, ends))
        })
    }
}
