//! The thread that writes the log.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::Marker;
use super::frame::seal;
use super::segment::{Segment, SegmentId, list};
use crate::Appended;
use crate::disk::sync_folder;
use crate::seeded_bug::{Bug, inherited, is_seeded};
use crate::tally::Tally;

/// The configuration of the log.
#[derive(Clone, Debug)]
pub struct LocalLogConfig {
    /// The folder of its files.
    pub folder: PathBuf,
    /// A file that has this many bytes is closed, and the next one is started.
    pub segment_bytes: u64,
}

/// The outcome of a frame.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The frame is on disk.
    Durable,
    /// The frame is not on disk, or that is not known; it must not be acked.
    Failed(Arc<io::Error>),
}

/// The extent of the log after a file was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The number of the next file.
    pub next: SegmentId,
    /// One more than the number of the last durable frame.
    pub frames: u64,
}

/// Called with the outcome of a frame, on the log's thread, in the order of submission.
pub type Done = Box<dyn FnOnce(Outcome) + Send>;

/// Called with the outcome of a frame that was submitted for a number.
pub type DoneAt = Box<dyn FnOnce(Result<Appended, Arc<io::Error>>) + Send>;

/// A log in a local folder that many threads append to.
pub struct LocalLog {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    folder: PathBuf,
    queue: Mutex<Queue>,
    wake: Condvar,
    marker: Mutex<Marker>,
    syncs: Tally,
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<Entry>,
    bytes: usize,
    is_closed: bool,
}

enum Entry {
    Frames {
        frames: Vec<Vec<u8>>,
        done: Done,
    },
    /// A frame that is written only if it gets this number.
    FrameAt {
        at: u64,
        frame: Vec<u8>,
        done: DoneAt,
    },
    /// Closes the current file, and passes the number of the next one.
    Rotate(Box<dyn FnOnce(Rotated) + Send>),
}

impl LocalLog {
    /// Starts a log whose next file is `next` and whose next frame is `sequence`.
    pub fn start(
        config: LocalLogConfig,
        next: SegmentId,
        sequence: u64,
        marker: Marker,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            folder: config.folder.clone(),
            queue: Mutex::new(Queue::default()),
            wake: Condvar::new(),
            marker: Mutex::new(marker),
            syncs: Tally::default(),
        });
        let writer = Writer { config, next, sequence, durable: sequence, segment: None };
        let thread = std::thread::Builder::new().name("streamtable-log".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            inherited(move || writer.run(&shared))
        })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Submits encoded frames, which are written together and have one outcome. Without a frame,
    /// `done` is called after the outcome of all frames submitted before.
    ///
    /// Frames are written in the order in which they are submitted; a caller that needs an order
    /// between two calls holds a lock around both. After [`close`](Self::close), frames fail, and
    /// `done` is called by this function.
    pub fn submit(&self, frames: Vec<Vec<u8>>, done: Done) {
        let mut queue = self.shared.queue.lock();
        if queue.is_closed {
            drop(queue);
            done(Outcome::Failed(closed()));
            return;
        }
        queue.bytes += frames.iter().map(Vec::len).sum::<usize>();
        queue.entries.push_back(Entry::Frames { frames, done });
        self.shared.wake.notify_one();
    }

    /// Submits an encoded frame that is written only if `at` is its number. Frames of several calls
    /// are written together if their numbers follow on each other.
    pub fn submit_at(&self, at: u64, frame: Vec<u8>, done: DoneAt) {
        let mut queue = self.shared.queue.lock();
        if queue.is_closed {
            drop(queue);
            done(Err(closed()));
            return;
        }
        queue.bytes += frame.len();
        queue.entries.push_back(Entry::FrameAt { at, frame, done });
        self.shared.wake.notify_one();
    }

    /// Returns the first frame of each file, by the number of the file.
    pub fn starts(&self) -> BTreeMap<u64, u64> {
        self.shared.marker.lock().starts().clone()
    }

    /// Returns the number of the first frame that was not trimmed, if there was ever one.
    pub fn first(&self) -> Option<u64> {
        self.shared.marker.lock().first().map(|first| first.frame)
    }

    /// Returns the number of bytes that wait to be written.
    pub fn waiting_bytes(&self) -> usize {
        self.shared.queue.lock().bytes
    }

    /// Returns the syncs so far.
    pub fn syncs(&self) -> &Tally {
        &self.shared.syncs
    }

    /// Closes the current file. `then` is called after the outcome of all frames submitted before;
    /// it is dropped if the log is closed.
    pub fn rotate(&self, then: impl FnOnce(Rotated) + Send + 'static) {
        let mut queue = self.shared.queue.lock();
        if !queue.is_closed {
            queue.entries.push_back(Entry::Rotate(Box::new(then)));
            self.shared.wake.notify_one();
        }
    }

    /// Returns a function that deletes the files before `before`, whose rows must all be flushed.
    /// The function blocks.
    pub fn trim(&self, before: SegmentId) -> impl FnOnce() -> io::Result<()> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        move || {
            // One call at a time, so that no call finds its files already deleted.
            let mut marker = shared.marker.lock();
            let mut old = list(&shared.folder)?.segments;
            old.retain(|&id| id < before);
            if old.is_empty() {
                return Ok(());
            }
            marker.trimmed(before)?;
            for id in old {
                std::fs::remove_file(id.path(&shared.folder))?;
            }
            sync_folder(&shared.folder)
        }
    }

    /// Writes the waiting frames, then ends the thread.
    pub fn close(&self) {
        self.shared.queue.lock().is_closed = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            // The panic of the thread was already printed; there is nothing left to do.
            let _ = thread.join();
        }
    }
}

impl Drop for LocalLog {
    fn drop(&mut self) {
        self.close();
    }
}

fn closed() -> Arc<io::Error> {
    Arc::new(io::Error::other("the store is closed"))
}

impl fmt::Debug for LocalLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalLog").finish_non_exhaustive()
    }
}

struct Writer {
    config: LocalLogConfig,
    next: SegmentId,
    sequence: u64,
    /// One more than the number of the last durable frame.
    durable: u64,
    segment: Option<Segment>,
}

impl Writer {
    fn run(mut self, shared: &Shared) {
        loop {
            let mut queue = shared.queue.lock();
            while queue.entries.is_empty() && !queue.is_closed {
                shared.wake.wait(&mut queue);
            }
            let entries = std::mem::take(&mut queue.entries);
            queue.bytes = 0;
            let is_last = queue.is_closed && entries.is_empty();
            drop(queue);
            if is_last {
                self.seal(shared);
                return;
            }
            self.take(entries, shared);
        }
    }

    fn take(&mut self, entries: VecDeque<Entry>, shared: &Shared) {
        let (mut group, mut next) = (Vec::new(), self.sequence);
        for entry in entries {
            match entry {
                Entry::Frames { frames, done } => {
                    next += frames.len() as u64;
                    group.push((frames, done));
                }
                Entry::FrameAt { at, frame, done } => {
                    let (verdict, frames) = if at == next {
                        next += 1;
                        (Appended::Durable, vec![frame])
                    } else {
                        // The frame that has the number may be in this group.
                        (Appended::Lost, Vec::new())
                    };
                    let done: Done = Box::new(move |outcome| {
                        done(match outcome {
                            Outcome::Durable => Ok(verdict),
                            Outcome::Failed(error) => Err(error),
                        });
                    });
                    group.push((frames, done));
                }
                Entry::Rotate(then) => {
                    self.commit(std::mem::take(&mut group), shared);
                    self.seal(shared);
                    next = self.sequence;
                    then(Rotated { next: self.next, frames: self.durable });
                }
            }
        }
        self.commit(group, shared);
    }

    /// Makes a group of frames durable with one fsync, and reports the outcome to each.
    fn commit(&mut self, mut group: Vec<(Vec<Vec<u8>>, Done)>, shared: &Shared) {
        if group.is_empty() {
            return;
        }
        let first = self.sequence;
        for frame in group.iter_mut().flat_map(|(frames, _)| frames) {
            seal(frame, self.sequence);
            self.sequence += 1;
        }
        if is_seeded(Bug::EarlyAck) {
            for (_, done) in &mut group {
                std::mem::replace(done, Box::new(drop))(Outcome::Durable);
            }
        }
        let written = self
            .write(&group, first, shared)
            .or_else(|error| self.write_elsewhere(&group, first, error, shared));
        let outcome = match written {
            Ok(()) => {
                self.durable = self.sequence;
                Outcome::Durable
            }
            Err(error) => {
                tracing::error!(%error, "rows cannot be made durable");
                Outcome::Failed(Arc::new(error))
            }
        };
        for (_, done) in group {
            done(outcome.clone());
        }
        if self.segment.as_ref().is_some_and(|it| it.length >= it.room) {
            self.seal(shared);
        }
    }

    /// Retries once in a new file: the disk may have a bad sector under the old one, and after a
    /// failed fsync nothing written to it can be trusted.
    fn write_elsewhere(
        &mut self,
        group: &[(Vec<Vec<u8>>, Done)],
        first: u64,
        error: io::Error,
        shared: &Shared,
    ) -> io::Result<()> {
        tracing::warn!(%error, "a log file failed; trying another");
        let is_cut = self.abandon(first, shared);
        let written = self.write(group, first, shared);
        if written.is_err() && self.abandon(first, shared) && is_cut {
            // None of the frames is on disk, so reusing their numbers leaves no gap.
            self.sequence = first;
        }
        written
    }

    /// Gives up the current file, whose synced frames end before `next`. Returns whether all other
    /// frames were removed from it.
    fn abandon(&mut self, next: u64, shared: &Shared) -> bool {
        let Some(segment) = self.segment.take() else { return true };
        if segment.synced > 0
            && let Err(error) = shared.marker.lock().closed(next)
        {
            tracing::warn!(%error, "the extent of the log could not be written down");
        }
        segment.abandon().is_ok()
    }

    /// Closes the current file.
    fn seal(&mut self, shared: &Shared) {
        let Some(segment) = self.segment.take() else { return };
        match shared.marker.lock().closed(self.sequence) {
            Ok(()) => segment.seal(),
            // If the mark was not updated, a shortened file would look damaged.
            Err(error) => {
                tracing::warn!(%error, "the extent of the log could not be written down");
            }
        }
    }

    fn write(
        &mut self,
        group: &[(Vec<Vec<u8>>, Done)],
        first: u64,
        shared: &Shared,
    ) -> io::Result<()> {
        if group.iter().all(|(frames, _)| frames.is_empty()) {
            return Ok(());
        }
        let segment = match &mut self.segment {
            Some(segment) => segment,
            None => {
                let folder = &self.config.folder;
                let segment = Segment::create(folder, self.next, self.config.segment_bytes)?;
                self.next.0 = segment.id.0 + 1;
                self.segment.insert(segment)
            }
        };
        let is_new = segment.synced == 0;
        for frame in group.iter().flat_map(|(frames, _)| frames) {
            segment.write(frame)?;
        }
        let start = Instant::now();
        segment.sync()?;
        shared.syncs.add(start);
        if is_new {
            let opened = shared.marker.lock().opened(segment.id, first, segment.room);
            if let Err(error) = opened {
                // The rows are durable anyway.
                tracing::warn!(%error, "the extent of the log could not be written down");
            }
        }
        Ok(())
    }
}
