//! The journal of a running process.

mod safety;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::journal::{Journal, JournalError, MemoryJournal};
use crate::lines::{Block, Lines};
use crate::shared::now;
use crate::spool::acked::Acked;
use crate::spool::disk::{Disk, DiskFile, How, Lock, create_dirs, gone};
use crate::spool::frame::{
    FRAME_OVERHEAD, Header, MAX_TEXT_BYTES, frames_within, scan, write_frame,
};
use crate::spool::media::MediaSpool;
use crate::spool::rejected_log::RejectedLog;
use crate::spool::segment::Segment;
use crate::spool::{SpoolConfig, SyncPolicy, layout};

/// Maximum size of one write to the operating system. Frames are buffered until then or until a
/// commit.
const STAGED_BYTES: usize = 256 << 10;

/// Maximum number of bytes read from disk at once, under the lock.
const READ_BYTES: usize = 1 << 20;

/// Size of the first segment. It is small because most tables are small.
const FIRST_SEGMENT_BYTES: u64 = 256 << 10;

/// Maximum size of a segment, so that readers can bound their memory.
pub(crate) const MAX_SEGMENT_BYTES: u64 = 64 << 20;

/// The lines of one writer on disk. The newest lines are in memory, too.
///
/// `append` buffers a line; [`commit`](Self::commit) writes the buffered lines to the operating
/// system in one call. From then on they survive the end of the process. The driver runs
/// maintenance jobs that sync the lines, so that they survive a power failure, and remove settled
/// segments.
pub(crate) struct SpoolJournal {
    disk: Arc<dyn Disk>,
    table_dir: PathBuf,
    dir: PathBuf,
    header: Header,
    salt: u32,
    sync: SyncPolicy,
    max_bytes: u64,
    segment_bytes: u64,
    memory_bytes: u64,
    /// The newest lines, including all that are not written yet.
    memory: MemoryJournal,
    /// The number of the next line.
    next: u64,
    /// All lines before this one are written to the operating system.
    written: u64,
    /// All lines before this one survive a power failure.
    synced: u64,
    /// The frames of the lines from `written` on.
    staged: Vec<u8>,
    segments: VecDeque<Segment>,
    next_segment: u64,
    /// The headers of all segments before this one are durable.
    safe_segments: u64,
    /// Whether a write to the last segment failed, so that it gets no more frames.
    is_broken: bool,
    /// Whether the lines that are not synced must be written again to another segment.
    needs_rewrite: bool,
    is_dir_dirty: bool,
    unsynced_since: Option<Instant>,
    /// The segments that the running task removes.
    being_removed: Option<Vec<PathBuf>>,
    /// After a failure, no task runs before this time.
    retry_at: Option<Instant>,
    /// Segments that contain settled lines only.
    obsolete_segments: Vec<PathBuf>,
    acked: Acked,
    rejected_log: RejectedLog,
    media: Arc<MediaSpool>,
    process: u32,
    is_closed: bool,
    /// Held as long as the journal exists.
    lock: Option<Box<dyn Lock>>,
}

impl SpoolJournal {
    /// Creates the journal of a new writer.
    pub(crate) fn create(
        disk: Arc<dyn Disk>,
        table_dir: PathBuf,
        header: Header,
        config: &SpoolConfig,
        memory_bytes: u64,
    ) -> io::Result<Self> {
        let sync = config.sync != SyncPolicy::Never;
        create_dirs(&*disk, &table_dir, sync)?;
        let lock = lock_new(&*disk, &layout::lock(&table_dir, &header.writer))?;
        let dir = table_dir.join(&header.writer);
        disk.create_dir(&dir)?;
        let segment_bytes = config.segment_bytes.clamp(4 << 10, MAX_SEGMENT_BYTES);
        let mut this = Self {
            acked: Acked::create(&*disk, &dir, header.salt())?,
            rejected_log: RejectedLog::new(Arc::clone(&disk), &table_dir, config.max_bytes),
            media: Arc::new(MediaSpool::new(Arc::clone(&disk), &dir, sync)),
            salt: header.salt(),
            header,
            sync: config.sync,
            max_bytes: config.max_bytes,
            segment_bytes: segment_bytes.min((config.max_bytes / 4).max(4 << 10)),
            memory_bytes,
            memory: MemoryJournal::new(u64::MAX),
            next: 0,
            written: 0,
            synced: 0,
            staged: Vec::new(),
            segments: VecDeque::new(),
            next_segment: 0,
            safe_segments: 0,
            is_broken: false,
            needs_rewrite: false,
            is_dir_dirty: true,
            unsynced_since: None,
            being_removed: None,
            retry_at: None,
            obsolete_segments: Vec::new(),
            process: disk.process(),
            is_closed: false,
            lock: Some(lock),
            disk,
            table_dir,
            dir,
        };
        this.roll(0, 0)?;
        if sync {
            // Media files become durable before any row. To recover them, the header that
            // identifies the writer must be durable, too.
            let done = this.task(true).run();
            this.settle_sync(done)?;
            this.disk.sync_dir(&this.table_dir)?;
        }
        Ok(this)
    }

    /// Simulates a fork of the process.
    #[cfg(test)]
    pub(crate) fn fork(&mut self) {
        self.process = self.process.wrapping_add(1);
    }

    /// Returns the store of the rows' media files.
    pub(crate) fn media(&self) -> Arc<MediaSpool> {
        Arc::clone(&self.media)
    }

    /// Writes all lines to the operating system. If the policy is [`SyncPolicy::Always`], waits
    /// until they are durable.
    ///
    /// After an error, the lines stay in memory and the next call tries again.
    pub(crate) fn commit(&mut self) -> Result<(), JournalError> {
        if self.written == self.next {
            return Ok(());
        }
        self.write_staged()?;
        if self.sync == SyncPolicy::Always {
            self.sync_now()?;
        }
        Ok(())
    }

    /// Records a row that the server rejected permanently.
    pub(crate) fn record_rejected(
        &mut self,
        line: u64,
        text: &[u8],
        reason: &str,
    ) -> io::Result<()> {
        self.rejected_log.add(&self.header.writer, self.header.base + line, text, reason)
    }

    /// Closes the journal. If all lines are settled, removes its files. Otherwise they stay for the
    /// next process that opens the table.
    pub(crate) fn close(&mut self, is_settled: bool) -> Result<(), JournalError> {
        if self.is_closed || self.disk.process() != self.process {
            return Ok(());
        }
        self.is_closed = true;
        if !is_settled {
            self.write_staged()?;
            if self.sync != SyncPolicy::Never {
                self.sync_now()?;
            }
            self.record_end();
            self.lock = None;
            return Ok(());
        }
        // The running task may never finish, and no segment may be left after the watermark is
        // removed.
        let being_removed = self.being_removed.take().unwrap_or_default();
        // If this fails, and this process ends before it has removed all files, recovery may report
        // settled lines as lost.
        if self.record(self.next).is_ok() && self.sync != SyncPolicy::Never {
            let _ = self.acked.file().sync();
        }
        let segments = self.segments.drain(..).map(|segment| segment.path);
        let segments: Vec<_> =
            segments.chain(self.obsolete_segments.drain(..)).chain(being_removed).collect();
        remove_writer(&*self.disk, &self.table_dir, &self.dir, &segments, &self.media)?;
        self.lock = None;
        Ok(())
    }

    fn write_staged(&mut self) -> io::Result<()> {
        if self.staged.is_empty() {
            return Ok(());
        }
        self.check_process()?;
        // If the segment's place on disk is full or broken, a new segment may work.
        if self.write_once().is_ok() {
            return Ok(());
        }
        self.write_once()
    }

    fn write_once(&mut self) -> io::Result<()> {
        let mut from = 0;
        let mut result = Ok(());
        while from < self.staged.len() && result.is_ok() {
            let (lines, length) = frames_within(&self.staged[from..], STAGED_BYTES);
            debug_assert!(length > 0, "the buffer contains complete frames");
            result = self.write_frames(from..from + length, lines);
            if result.is_ok() {
                from += length;
            }
        }
        self.staged.drain(..from);
        self.staged.shrink_to(4 * STAGED_BYTES);
        result
    }

    /// Writes some of the buffered frames, which belong to the next lines.
    fn write_frames(&mut self, range: Range<usize>, lines: u64) -> io::Result<()> {
        let length = range.len() as u64;
        let has_room = self.segments.back().is_some_and(|last| last.used + length <= last.capacity);
        if self.is_broken || !has_room {
            // Until a segment is available, the lines count as memory, which has its own limit.
            self.is_broken = true;
            self.roll(self.written, length)?;
        }
        let Some(last) = self.segments.back_mut() else {
            return Err(io::Error::other("the journal has no segment"));
        };
        if let Err(error) = last.file.write_all_at(&self.staged[range], last.used) {
            self.is_broken = true;
            return Err(error);
        }
        last.wrote(self.written, self.written + lines, length);
        self.written += lines;
        if self.unsynced_since.is_none() && self.sync != SyncPolicy::Never {
            self.unsynced_since = Some(now());
        }
        Ok(())
    }

    /// Starts a segment whose first line is `line`, with space for `room` bytes.
    fn roll(&mut self, line: u64, room: u64) -> io::Result<()> {
        let mut bytes = Vec::new();
        Header { line, ..self.header.clone() }.write(&mut bytes);
        let number = self.next_segment;
        let least = bytes.len() as u64 + room;
        let short = FIRST_SEGMENT_BYTES.min(self.segment_bytes).max(least);
        let is_short = number == 0 || self.needs_rewrite;
        let mut capacity = if is_short { short } else { self.segment_bytes.max(least) };
        let path = self.dir.join(layout::segment_name(number));
        self.next_segment += 1;
        let mut begun = begin_segment(&*self.disk, &path, capacity, &bytes);
        if begun.is_err() && short < capacity {
            // A disk without space for a full segment may have space for a short one.
            capacity = short;
            begun = begin_segment(&*self.disk, &path, capacity, &bytes);
        }
        let file = begun?;
        if let Some(last) = self.segments.back() {
            last.file.seal();
        }
        self.segments.push_back(Segment {
            number,
            path,
            file,
            first: line,
            end: line,
            used: bytes.len() as u64,
            capacity,
            marks: Vec::new(),
            is_dirty: true,
        });
        self.is_broken = false;
        self.is_dir_dirty = true;
        self.drop_settled();
        Ok(())
    }

    /// Records the watermark.
    fn record(&mut self, settled: u64) -> io::Result<()> {
        let end = if self.sync == SyncPolicy::Never { self.written } else { self.synced };
        self.acked.write(settled, end)
    }

    /// Records how many lines are on disk. If this fails, lost segments may go unnoticed, but no row is
    /// at risk.
    fn record_end(&mut self) {
        let _ = self.record(self.acked.settled());
    }

    fn drop_settled(&mut self) {
        let settled = self.acked.settled();
        while self.segments.len() > 1 && self.segments.front().is_some_and(|s| s.end <= settled) {
            self.obsolete_segments.extend(self.segments.pop_front().map(|segment| segment.path));
        }
    }

    fn read_disk(&self, first: u64, max_lines: usize, max_bytes: usize) -> io::Result<Lines> {
        let holds = |segment: &&Segment| (segment.first..segment.end).contains(&first);
        let segment = self.segments.iter().rev().find(holds);
        let segment = segment
            .ok_or_else(|| io::Error::other(format!("line {first} is not in the journal")))?;
        let mark = segment.marks.partition_point(|&(line, _)| line <= first);
        let (_, offset) = segment.marks[mark.saturating_sub(1)];
        let most = usize::try_from(segment.used - offset).unwrap_or(usize::MAX);
        let (mut ends, mut texts) = (Vec::new(), Vec::new());
        // After the mark there may be one long frame, or several frames before the wanted one.
        let mut want = max_bytes.clamp(4 << 10, READ_BYTES) + STAGED_BYTES;
        loop {
            let bytes = segment.file.read_from(offset, want.min(most))?;
            let frames = scan(&bytes, 0, self.salt).frames;
            let wanted = frames.into_iter().skip_while(|frame| frame.line < first);
            for (frame, line) in wanted.zip(first..).take(max_lines.max(1)) {
                let too_many = texts.len() + frame.text.len() > max_bytes && !ends.is_empty();
                if frame.line != line || too_many {
                    break;
                }
                texts.extend_from_slice(&bytes[frame.text]);
                ends.push(texts.len());
            }
            if !ends.is_empty() {
                break;
            }
            if want >= most || want > STAGED_BYTES + 2 * MAX_TEXT_BYTES {
                return Err(io::Error::other(format!("line {first} is damaged on disk")));
            }
            want = STAGED_BYTES + 2 * MAX_TEXT_BYTES + 1;
        }
        let mut lines = Lines::default();
        let count = ends.len();
        lines.push(&Block::new(texts, ends), 0..count);
        Ok(lines)
    }

    /// A forked process must not write to the same files.
    fn check_process(&self) -> io::Result<()> {
        if self.disk.process() == self.process {
            return Ok(());
        }
        let reason = "this process is a fork of the one that opened the table; open it again";
        Err(io::Error::other(reason))
    }

    fn used(&self) -> u64 {
        let written: u64 = self.segments.iter().map(|segment| segment.used).sum();
        written + self.staged.len() as u64
    }

    /// Ensures that a line fits the limits of disk and memory.
    fn check_room(&mut self, line: &[u8]) -> Result<(), JournalError> {
        let bytes = line.len() as u64;
        let cost = bytes + FRAME_OVERHEAD as u64;
        // A header and a frame must fit.
        let limit = self.max_bytes.saturating_sub(FRAME_OVERHEAD as u64 + 1024);
        if bytes > limit.min(MAX_TEXT_BYTES as u64) {
            return Err(JournalError::TooLong { bytes, limit: limit.min(MAX_TEXT_BYTES as u64) });
        }
        if self.used() + cost > self.max_bytes {
            let is_settled = self.acked.settled() >= self.next && self.staged.is_empty();
            if is_settled && self.segments.len() == 1 {
                self.roll(self.next, cost)?;
            } else {
                return Err(JournalError::Full { bytes: self.used(), limit: self.max_bytes });
            }
        }
        // Lines that the disk does not accept must stay in memory.
        if self.is_broken && !self.staged.is_empty() {
            self.evict(cost)?;
            let in_memory = self.memory.bytes();
            if in_memory + cost > self.memory_bytes && self.write_staged().is_err() {
                return Err(JournalError::Full { bytes: in_memory, limit: self.memory_bytes });
            }
        }
        Ok(())
    }

    /// Frees memory by dropping lines that are on disk.
    fn evict(&mut self, room: u64) -> Result<(), JournalError> {
        while self.memory.bytes() + room > self.memory_bytes
            && let Some(end) = self.memory.oldest_end().filter(|&end| end <= self.written)
        {
            self.memory.trim(end)?;
        }
        Ok(())
    }
}

impl Drop for SpoolJournal {
    fn drop(&mut self) {
        // The journal still has lines if it was not closed before. There is no caller to report an
        // error to.
        let _ = self.close(false);
    }
}

impl Journal for SpoolJournal {
    fn append(&mut self, line: &[u8]) -> Result<(), JournalError> {
        if self.staged.is_empty() {
            self.check_process()?;
        }
        self.check_room(line)?;
        self.memory.append(line)?;
        write_frame(&mut self.staged, self.salt, self.next, line);
        self.next += 1;
        if self.staged.len() >= STAGED_BYTES && !self.is_broken {
            // A failure is reported when the call ends: `commit` tries again.
            let _ = self.write_staged();
        }
        self.evict(0)
    }

    fn read(
        &mut self,
        first: u64,
        max_lines: usize,
        max_bytes: usize,
    ) -> Result<Lines, JournalError> {
        if first >= self.memory.first() {
            return self.memory.read(first, max_lines, max_bytes);
        }
        Ok(self.read_disk(first, max_lines, max_bytes)?)
    }

    fn trim(&mut self, line: u64) -> Result<(), JournalError> {
        if line > self.memory.first() {
            self.memory.trim(line)?;
        }
        self.record(line)?;
        self.drop_settled();
        Ok(())
    }
}

/// Creates a segment file with its header. Removes the file on failure, because it may already
/// occupy all the remaining space of the disk.
fn begin_segment(
    disk: &dyn Disk,
    path: &Path,
    capacity: u64,
    header: &[u8],
) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.open(path, How::New)?;
    match file.allocate(capacity).and_then(|()| file.write_all_at(header, 0)) {
        Ok(()) => Ok(file),
        Err(error) => {
            let _ = disk.remove_file(path);
            Err(error)
        }
    }
}

/// Locks a new writer's lock file, which other processes hold only briefly.
fn lock_new(disk: &dyn Disk, path: &Path) -> io::Result<Box<dyn Lock>> {
    const ATTEMPTS: u32 = 50;

    // Processes that inspect the folder hold each lock for a moment, including this one.
    for attempt in 0..ATTEMPTS {
        if let Some(lock) = disk.lock(path)? {
            return Ok(lock);
        }
        if attempt + 1 < ATTEMPTS && !disk.is_quick() {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    Err(io::Error::other("another process holds this writer"))
}

/// Removes all files of a writer, its lock last.
pub(crate) fn remove_writer(
    disk: &dyn Disk,
    table_dir: &Path,
    dir: &Path,
    segments: &[PathBuf],
    media: &MediaSpool,
) -> io::Result<()> {
    for path in segments {
        gone(disk.remove_file(path))?;
    }
    media.clear()?;
    gone(disk.remove_file(&dir.join(layout::ACKED)))?;
    gone(disk.remove_dir(dir))?;
    let writer = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    gone(disk.remove_file(&layout::lock(table_dir, writer)))
}

impl From<io::Error> for JournalError {
    fn from(error: io::Error) -> Self {
        Self::Io { reason: error.to_string() }
    }
}

impl fmt::Debug for SpoolJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dir, next, written, synced, .. } = self;
        write!(
            f,
            "SpoolJournal({}, {next} lines, {written} written, {synced} synced)",
            dir.display()
        )
    }
}
