//! The thread that writes the log.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

use super::frame::seal;
use super::segment::{Segment, SegmentId, sync_folder};
use crate::seeded_bug::{Bug, inherited, is_seeded};

/// How the log is kept.
#[derive(Clone, Debug)]
pub(crate) struct LogConfig {
    /// Where its files are.
    pub(crate) folder: PathBuf,
    /// A file that has this many bytes is closed and the next one begun.
    pub(crate) segment_bytes: u64,
}

/// What became of a frame.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It is on disk.
    Durable,
    /// It is not, or not known to be; nobody may be told that it is.
    Failed(Arc<io::Error>),
}

/// Hears what became of a frame, on the log's thread, in the order of submission.
pub(crate) type Done = Box<dyn FnOnce(Outcome) + Send>;

/// A log that many threads append to.
pub(crate) struct Log {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
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
    /// Close the file that is written now, and tell its number.
    Rotate(Box<dyn FnOnce(SegmentId) + Send>),
}

impl Log {
    /// Starts a log whose next file is `next` and whose next frame is `sequence`.
    pub(crate) fn start(config: LogConfig, next: SegmentId, sequence: u64) -> io::Result<Self> {
        let shared = Arc::new(Shared { queue: Mutex::new(Queue::default()), wake: Condvar::new() });
        let writer = Writer { config, next, sequence, segment: None };
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
    /// between two calls holds a lock around both. After [`close`](Self::close) the frames fail, and
    /// `done` is called by this function.
    pub(crate) fn submit(&self, frames: Vec<Vec<u8>>, done: Done) {
        let mut queue = self.shared.queue.lock();
        if queue.is_closed {
            drop(queue);
            done(Outcome::Failed(Arc::new(io::Error::other("the store is closed"))));
            return;
        }
        queue.bytes += frames.iter().map(Vec::len).sum::<usize>();
        queue.entries.push_back(Entry::Frames { frames, done });
        self.shared.wake.notify_one();
    }

    /// Returns how many bytes wait to be written.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.shared.queue.lock().bytes
    }

    /// Closes the file that is written now; `then` hears the last number of the closed files, after
    /// the outcome of all frames submitted before.
    pub(crate) fn rotate(&self, then: impl FnOnce(SegmentId) + Send + 'static) {
        self.shared.queue.lock().entries.push_back(Entry::Rotate(Box::new(then)));
        self.shared.wake.notify_one();
    }

    /// Writes what waits, then ends the thread.
    pub(crate) fn close(&self) {
        self.shared.queue.lock().is_closed = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            // A panic of the thread was told by its own message; there is nothing left to do.
            let _ = thread.join();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

struct Writer {
    config: LogConfig,
    next: SegmentId,
    sequence: u64,
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
                return;
            }
            self.take(entries);
        }
    }

    fn take(&mut self, entries: VecDeque<Entry>) {
        let mut group = Vec::new();
        for entry in entries {
            match entry {
                Entry::Frames { frames, done } => group.push((frames, done)),
                Entry::Rotate(then) => {
                    self.commit(std::mem::take(&mut group));
                    self.segment = None;
                    then(SegmentId(self.next.0 - 1));
                }
            }
        }
        self.commit(group);
    }

    /// Makes a group of frames durable with one sync, and tells each.
    fn commit(&mut self, mut group: Vec<(Vec<Vec<u8>>, Done)>) {
        if group.is_empty() {
            return;
        }
        for frame in group.iter_mut().flat_map(|(frames, _)| frames) {
            seal(frame, self.sequence);
            self.sequence += 1;
        }
        if is_seeded(Bug::EarlyAck) {
            for (_, done) in &mut group {
                std::mem::replace(done, Box::new(drop))(Outcome::Durable);
            }
        }
        let outcome = match self.write(&group).or_else(|error| self.write_elsewhere(&group, error))
        {
            Ok(()) => Outcome::Durable,
            Err(error) => {
                tracing::error!(%error, "rows cannot be made durable");
                Outcome::Failed(Arc::new(error))
            }
        };
        for (_, done) in group {
            done(outcome.clone());
        }
        if self.segment.as_ref().is_some_and(|it| it.length >= self.config.segment_bytes) {
            self.segment = None;
        }
    }

    /// Tries once more in a new file: the old one may have a bad place, and after a failed sync
    /// nothing written to it may be believed.
    fn write_elsewhere(
        &mut self,
        group: &[(Vec<Vec<u8>>, Done)],
        error: io::Error,
    ) -> io::Result<()> {
        tracing::warn!(%error, "a log file failed; trying another");
        if let Some(segment) = self.segment.take() {
            segment.abandon();
        }
        self.write(group).inspect_err(|_| {
            if let Some(segment) = self.segment.take() {
                segment.abandon();
            }
        })
    }

    fn write(&mut self, group: &[(Vec<Vec<u8>>, Done)]) -> io::Result<()> {
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
        for frame in group.iter().flat_map(|(frames, _)| frames) {
            segment.write(frame)?;
        }
        segment.sync()
    }
}

/// Deletes the log files up to one: all they hold is elsewhere.
pub(crate) fn remove_through(folder: &std::path::Path, last: SegmentId) -> io::Result<()> {
    for id in super::list_segments(folder)? {
        if id <= last {
            std::fs::remove_file(id.path(folder))?;
        }
    }
    sync_folder(folder)
}
