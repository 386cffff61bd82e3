//! Syncing lines to disk and removing settled segments.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{STAGED_BYTES, SpoolJournal};
use crate::session::reachable;
use crate::shared::now;
use crate::spool::SyncPolicy;
use crate::spool::chore::{Chore, Done, Job};
use crate::spool::frame::write_frame;
use crate::{Journal, JournalError};

impl SpoolJournal {
    /// Waits until all committed lines are durable, whatever the policy.
    pub(crate) fn sync_now(&mut self) -> Result<(), JournalError> {
        self.check_process()?;
        self.write_staged()?;
        let mut result = Ok(());
        for _ in 0..2 {
            if self.needs_rescue {
                self.rescue()?;
            }
            let done = self.job(true).run();
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
    pub(crate) fn chore(&mut self, now: Instant) -> Chore {
        if self.under_way.is_some() || self.is_closed {
            return Chore::Wait(None);
        }
        let due = match self.sync {
            SyncPolicy::Interval(interval) => {
                self.unsynced_since.map(|since| since + reachable(interval))
            }
            SyncPolicy::Never | SyncPolicy::Always => None,
        };
        if let Some(at) = self.rests_until.filter(|&at| now < at) {
            return Chore::Wait(Some(at));
        }
        let is_due = due.is_some_and(|due| due <= now);
        if !is_due && self.garbage.is_empty() {
            return Chore::Wait(due);
        }
        let first = self.segments.front().map_or(0, |segment| segment.number);
        let is_unsafe = self.sync != SyncPolicy::Never && first >= self.safe_segments;
        let must_sync = is_due || is_unsafe;
        // If rewriting fails, the lines are no less durable than before; a later attempt may
        // succeed.
        if must_sync && self.needs_rescue && self.rescue().is_err() {
            return Chore::Wait(Some(self.rest(now)));
        }
        let job = self.job(must_sync);
        self.under_way = Some(job.garbage.clone());
        Chore::Now(job)
    }

    /// Called with the result of a job. Returns an error that should be reported.
    pub(crate) fn done(&mut self, done: Done) -> io::Result<()> {
        self.under_way = None;
        let result = self.settle_sync(done);
        if result.is_err() {
            self.rest(now());
        }
        result
    }

    /// Pauses maintenance after a failure and returns when it continues.
    fn rest(&mut self, now: Instant) -> Instant {
        let until = now + Duration::from_secs(1);
        self.rests_until = Some(until);
        until
    }

    /// Creates a job that removes settled segments and, if `sync` is set, syncs everything written
    /// since the last sync.
    pub(super) fn job(&mut self, sync: bool) -> Job {
        let (disk, garbage) = (Arc::clone(&self.disk), std::mem::take(&mut self.garbage));
        if !sync {
            return Job { disk, files: Vec::new(), dir: None, garbage, sync: None };
        }
        let mut files = vec![self.acked.file()];
        for segment in self.segments.iter_mut().filter(|segment| segment.is_dirty) {
            segment.is_dirty = false;
            files.push(Arc::clone(&segment.file));
        }
        self.unsynced_since = None;
        let dir = std::mem::take(&mut self.is_dir_dirty).then(|| self.dir.clone());
        let sync = Some((self.synced..self.written, self.next_segment));
        Job { disk, files, dir, garbage, sync }
    }

    pub(super) fn settle_sync(&mut self, done: Done) -> io::Result<()> {
        self.garbage.extend(done.garbage);
        let Some((lines, segments)) = done.sync else { return Ok(()) };
        if done.result.is_ok() {
            self.synced = self.synced.max(lines.end);
            self.safe_segments = self.safe_segments.max(segments);
        } else {
            // After a failed fsync the system may drop the dirty pages and report success the next
            // time.
            self.synced = self.synced.min(lines.start);
            self.is_broken = true;
            self.needs_rescue = true;
            self.is_dir_dirty = true;
            self.unsynced_since.get_or_insert_with(now);
        }
        done.result
    }

    /// Writes all lines that may not survive a power failure to a new segment.
    fn rescue(&mut self) -> io::Result<()> {
        // If every sync of a disk fails, it must not be filled with copies.
        let allocated: u64 = self.segments.iter().map(|segment| segment.capacity).sum();
        let has_lines = self.synced.max(self.acked.settled()) < self.written;
        if has_lines && allocated > self.max_bytes {
            return Err(io::Error::other("not enough space to rewrite rows whose sync failed"));
        }
        let result = self.write_anew();
        // New lines must not follow lines that were only partly rewritten.
        self.is_broken |= result.is_err();
        self.needs_rescue &= result.is_err();
        result
    }

    fn write_anew(&mut self) -> io::Result<()> {
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
