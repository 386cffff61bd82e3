//! Syncing lines to disk and removing settled segments.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{STAGED_BYTES, SpoolJournal};
use crate::journal::{Journal, JournalError};
use crate::session::reachable;
use crate::shared::now;
use crate::spool::SyncPolicy;
use crate::spool::frame::write_frame;
use crate::spool::maintenance::{Maintenance, Task, TaskResult};

impl SpoolJournal {
    /// Waits until all committed lines are durable, whatever the policy.
    pub(crate) fn sync_now(&mut self) -> Result<(), JournalError> {
        self.check_process()?;
        self.write_staged()?;
        let mut result = Ok(());
        for _ in 0..2 {
            if self.needs_rewrite {
                self.rewrite()?;
            }
            let done = self.task(true).run();
            result = self.settle_sync(done);
            if result.is_ok() {
                break;
            }
        }
        Ok(result?)
    }

    /// Returns whether lines are waiting for a sync.
    pub(crate) fn is_sync_due(&self) -> bool {
        self.unsynced_since.is_some()
    }

    /// Returns the next maintenance step.
    pub(crate) fn maintenance(&mut self, now: Instant) -> Maintenance {
        if self.being_removed.is_some() || self.is_closed {
            return Maintenance::Wait(None);
        }
        let due = match self.sync {
            SyncPolicy::Interval(interval) => {
                self.unsynced_since.map(|since| since + reachable(interval))
            }
            SyncPolicy::Never | SyncPolicy::Always => None,
        };
        if let Some(at) = self.retry_at.filter(|&at| now < at) {
            return Maintenance::Wait(Some(at));
        }
        let is_due = due.is_some_and(|due| due <= now);
        if !is_due && self.obsolete_segments.is_empty() {
            return Maintenance::Wait(due);
        }
        let first = self.segments.front().map_or(0, |segment| segment.number);
        let is_unsafe = self.sync != SyncPolicy::Never && first >= self.safe_segments;
        let must_sync = is_due || is_unsafe;
        // If rewriting fails, the lines are no less durable than before; a later attempt may
        // succeed.
        if must_sync && self.needs_rewrite && self.rewrite().is_err() {
            return Maintenance::Wait(Some(self.rest(now)));
        }
        let task = self.task(must_sync);
        self.being_removed = Some(task.obsolete_segments.clone());
        Maintenance::Now(task)
    }

    /// Called with the result of a task. Returns an error that should be reported.
    pub(crate) fn finish_task(&mut self, done: TaskResult) -> io::Result<()> {
        self.being_removed = None;
        let result = self.settle_sync(done);
        if result.is_err() {
            self.rest(now());
        }
        result
    }

    /// Pauses maintenance after a failure and returns when it continues.
    fn rest(&mut self, now: Instant) -> Instant {
        let until = now + Duration::from_secs(1);
        self.retry_at = Some(until);
        until
    }

    /// Creates a task that removes settled segments and, if `sync` is set, syncs everything written
    /// since the last sync.
    pub(super) fn task(&mut self, sync: bool) -> Task {
        let (disk, obsolete_segments) =
            (Arc::clone(&self.disk), std::mem::take(&mut self.obsolete_segments));
        // Before segments are removed, the watermark must be durable.
        let mut files = vec![self.acked.file()];
        if !sync {
            return Task { disk, files, dir: None, obsolete_segments, sync: None };
        }
        for segment in self.segments.iter_mut().filter(|segment| segment.is_dirty) {
            segment.is_dirty = false;
            files.push(Arc::clone(&segment.file));
        }
        self.unsynced_since = None;
        let dir = std::mem::take(&mut self.is_dir_dirty).then(|| self.dir.clone());
        let sync = Some((self.synced..self.written, self.next_segment));
        Task { disk, files, dir, obsolete_segments, sync }
    }

    pub(super) fn settle_sync(&mut self, done: TaskResult) -> io::Result<()> {
        self.obsolete_segments.extend(done.obsolete_segments);
        let Some((lines, segments)) = done.sync else { return done.result };
        if done.result.is_ok() {
            self.synced = self.synced.max(lines.end);
            self.safe_segments = self.safe_segments.max(segments);
            self.record_end();
        } else {
            // After a failed fsync the system may drop the dirty pages and report success the next
            // time.
            self.synced = self.synced.min(lines.start);
            self.is_broken = true;
            self.needs_rewrite = true;
            self.is_dir_dirty = true;
            self.record_end();
            self.unsynced_since.get_or_insert_with(now);
        }
        done.result
    }

    /// Writes all lines that may not survive a power failure to a new segment.
    fn rewrite(&mut self) -> io::Result<()> {
        // If every sync of a disk fails, it must not be filled with copies.
        let allocated: u64 = self.segments.iter().map(|segment| segment.capacity).sum();
        let has_lines = self.synced.max(self.acked.settled()) < self.written;
        if has_lines && allocated > self.max_bytes {
            return Err(io::Error::other("not enough space to rewrite rows whose sync failed"));
        }
        let result = self.rewrite_lines();
        // New lines must not follow lines that were only partly rewritten.
        self.is_broken |= result.is_err();
        self.needs_rewrite &= result.is_err();
        result
    }

    fn rewrite_lines(&mut self) -> io::Result<()> {
        let mut line = self.synced.max(self.acked.settled());
        let mut is_first = true;
        while line < self.written {
            let lines = self.read(line, usize::MAX, STAGED_BYTES).map_err(io::Error::other)?;
            let count = (lines.len() as u64).min(self.written - line);
            let mut frames = Vec::new();
            for (number, text) in (line..).zip(lines.iter().take(count as usize)) {
                write_frame(&mut frames, self.salt, number, text);
            }
            let length = frames.len() as u64;
            let last = self.segments.back().filter(|last| last.used + length <= last.capacity);
            if is_first || last.is_none() {
                self.roll(line, length)?;
            }
            is_first = false;
            let Some(last) = self.segments.back_mut() else { break };
            last.file.write_all_at(&frames, last.used)?;
            last.wrote(line, line + count, length);
            line += count;
        }
        Ok(())
    }
}
