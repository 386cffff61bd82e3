//! Orphaned spools: spools whose process has ended.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use streamtable_schema::{ColumnPolicy, TableName, TablePath};

use super::acked::{Acked, Watermark};
use super::disk::{Disk, How, Lock, create_dirs, gone};
use super::frame::{FRAME_OVERHEAD, Header, MAX_TEXT_BYTES, NoHeader, Scan, salt_of, scan};
use super::journal::{MAX_SEGMENT_BYTES, remove_writer};
use super::layout;
use super::media::MediaSpool;
use super::rejected_log::RejectedLog;
use crate::lines::Block;

/// Maximum size of a segment file. No spool writes larger ones.
const MAX_FILE_BYTES: u64 =
    MAX_SEGMENT_BYTES + (MAX_TEXT_BYTES + FRAME_OVERHEAD + (1 << 20)) as u64;

/// Number of bytes that are enough for every header.
const HEAD_BYTES: usize = (64 << 10) + 64;

/// The state of a writer's folder.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// An orphaned spool: its process has ended.
    Orphan(Box<OrphanSpool>),
    /// A running process holds the lock.
    Busy,
    /// The folder does not exist any more.
    Gone,
    /// A newer version of this library wrote the spool.
    Newer(u32),
    /// All headers are lost or damaged, so the table is unknown.
    Unreadable,
}

/// An orphaned spool, whose lock this process holds.
#[derive(Debug)]
pub(crate) struct OrphanSpool {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) table_dir: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) header: Header,
    pub(crate) table: TablePath,
    /// The segment numbers in ascending order.
    pub(crate) segments: Vec<u64>,
    pub(crate) acked: Acked,
    pub(crate) media: Arc<MediaSpool>,
    pub(crate) rejected_log: RejectedLog,
    _lock: Box<dyn Lock>,
}

/// A segment loaded into memory.
#[derive(Debug)]
pub(crate) struct Loaded {
    bytes: Vec<u8>,
    pub(crate) scan: Scan,
}

impl OrphanSpool {
    pub(crate) fn open(disk: &Arc<dyn Disk>, table_dir: &Path, writer: &str) -> io::Result<Lookup> {
        let lock_path = layout::lock(table_dir, writer);
        let Some(lock) = disk.lock(&lock_path)? else { return Ok(Lookup::Busy) };
        let dir = table_dir.join(writer);
        let names = match disk.list(&dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                gone(disk.remove_file(&lock_path))?;
                return Ok(Lookup::Gone);
            }
            names => names?,
        };
        let segments: Vec<u64> =
            names.iter().filter_map(|name| layout::segment_number(name)).collect();
        let media = Arc::new(MediaSpool::new(Arc::clone(disk), &dir, false));
        let (header, table) = match identify(&**disk, &dir, &segments)? {
            Identity::Known(header, table) if header.writer == writer => (header, table),
            Identity::Newer(version) => return Ok(Lookup::Newer(version)),
            Identity::Known(..) | Identity::Damaged => return Ok(Lookup::Unreadable),
            // The process ended before it had written a header, and therefore before any row; or all its
            // rows are settled.
            Identity::Empty => {
                let paths: Vec<_> =
                    segments.iter().map(|&n| dir.join(layout::segment_name(n))).collect();
                remove_writer(&**disk, table_dir, &dir, &paths, &media)?;
                return Ok(Lookup::Gone);
            }
        };
        Ok(Lookup::Orphan(Box::new(Self {
            acked: Acked::open(&**disk, &dir, header.salt())?,
            rejected_log: RejectedLog::new(Arc::clone(disk), table_dir, u64::MAX),
            disk: Arc::clone(disk),
            table_dir: table_dir.to_owned(),
            dir,
            header,
            table,
            segments,
            media,
            _lock: lock,
        })))
    }

    /// Returns the column policy that the rows are sent with.
    pub(crate) fn columns(&self) -> ColumnPolicy {
        if self.header.columns == "strict" { ColumnPolicy::Strict } else { ColumnPolicy::Evolve }
    }

    pub(crate) fn segment_path(&self, number: u64) -> PathBuf {
        self.dir.join(layout::segment_name(number))
    }

    /// Copies damaged bytes to the `set-aside` folder and returns the path of the copy.
    pub(crate) fn set_aside(&self, number: u64, at: usize, bytes: &[u8]) -> io::Result<PathBuf> {
        let to = self.aside(&format!("{number:08}-{at:08}.bin"))?;
        let file = self.disk.open(&to, How::Write)?;
        file.write_all_at(bytes, 0)?;
        Ok(to)
    }

    /// Moves a damaged file to the `set-aside` folder and returns its new path.
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

    /// Removes segments whose lines are all before `settled`.
    pub(crate) fn remove_segments(
        &mut self,
        settled: u64,
        numbers: impl Iterator<Item = u64>,
    ) -> io::Result<()> {
        self.record(settled)?;
        for number in numbers {
            gone(self.disk.remove_file(&self.segment_path(number)))?;
        }
        Ok(())
    }

    /// Removes the spool. All its rows must be settled: those before `settled`.
    pub(crate) fn remove(mut self, settled: u64) -> io::Result<()> {
        self.record(settled)?;
        let paths: Vec<_> = self.segments.iter().map(|&n| self.segment_path(n)).collect();
        remove_writer(&*self.disk, &self.table_dir, &self.dir, &paths, &self.media)
    }

    /// Makes the watermark durable, so that segments which are removed do not count as lost.
    fn record(&mut self, settled: u64) -> io::Result<()> {
        self.acked.write(settled, self.acked.watermark().end)?;
        self.acked.file().sync()
    }
}

/// The identity of a spool.
pub(crate) enum Identity {
    Known(Header, TablePath),
    Newer(u32),
    Empty,
    Damaged,
}

/// Identifies a spool from its first segment with an intact header.
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
    let writer = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Watermark { settled, end, .. } = Acked::peek(disk, dir, salt_of(writer))?;
    Ok(if is_empty && end <= settled { Identity::Empty } else { Identity::Damaged })
}

impl Loaded {
    /// Reads a segment. Segments without a valid header are searched for frames, too.
    pub(crate) fn read(disk: &dyn Disk, path: &Path, salt: u32) -> io::Result<Self> {
        let file = disk.open(path, How::Read)?;
        if file.len()? > MAX_FILE_BYTES {
            let message = format!("{} is larger than the maximum segment size", path.display());
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

/// Merges the lines of a writer's segments, one segment at a time.
///
/// Lines that could not be synced are written again, to a segment that starts at an earlier line
/// than the one before it ended. Either copy may be damaged or incomplete.
#[derive(Debug)]
pub(crate) struct Merge {
    /// The first line of each segment, if its header is intact.
    starts: Vec<Option<u64>>,
    /// Lines of earlier segments that a later segment may contain, too.
    carried: Vec<(u64, Vec<u8>)>,
    /// The number of the next line.
    pub(crate) next: u64,
    /// All lines before this one were on disk.
    end: u64,
}

impl Merge {
    /// Starts at the first line that is not settled. If the watermark is not exact, missing lines before
    /// the first segment count as settled.
    pub(crate) fn new(
        disk: &dyn Disk,
        dir: &Path,
        segments: &[u64],
        watermark: Watermark,
    ) -> io::Result<Self> {
        let start = |&number: &u64| -> io::Result<Option<u64>> {
            match disk.open(&dir.join(layout::segment_name(number)), How::Read) {
                Ok(file) => {
                    let header = Header::read(&file.read_from(0, HEAD_BYTES)?);
                    Ok(header.ok().map(|(header, _)| header.line))
                }
                // A running process removes settled segments.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        };
        let starts = segments.iter().map(start).collect::<io::Result<Vec<_>>>()?;
        let Watermark { settled, end, is_exact } = watermark;
        let first = starts.iter().flatten().min().copied().filter(|_| !is_exact);
        let next = settled.max(first.unwrap_or_default());
        Ok(Self { starts, carried: Vec::new(), next, end })
    }

    /// Returns whether lines of earlier segments are still to be returned.
    pub(crate) fn is_carrying(&self) -> bool {
        !self.carried.is_empty()
    }

    /// Returns the number of lines that are missing after the last segment.
    pub(crate) fn missing_at_end(&self) -> u64 {
        self.end.saturating_sub(self.next)
    }

    /// Adds the segment with this index and returns the lines that no later segment can contain, as
    /// runs of consecutive lines with the number of their first line.
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
