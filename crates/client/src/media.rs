//! The queue of media files. They are uploaded alongside the rows and never delay them.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use streamtable_schema::TablePath;

use crate::session::{BatchLimits, RetryPolicy, Session, Step};
use crate::{AppendError, Appended, MediaFile, MediaStats, Upload};

/// Number of known paths that are remembered, so that files are not uploaded twice.
const REMEMBERED: usize = 100_000;

/// The size of upload batches.
const LIMITS: BatchLimits = BatchLimits {
    max_rows: 64,
    max_bytes: 16 << 20,
    linger: Duration::from_millis(50),
    append_timeout: Duration::from_secs(300),
};

/// The media files of one table's rows, in the order in which they were first logged.
///
/// The same state machine as for rows decides what to send next.
#[derive(Debug)]
pub(crate) struct MediaQueue {
    session: Session,
    waiting: VecDeque<MediaFile>,
    /// Memory used by the waiting files.
    bytes: u64,
    limit: u64,
    known: HashSet<Arc<str>>,
    /// The known paths, oldest first. The oldest are forgotten first.
    known_order: VecDeque<Arc<str>>,
}

/// Files that were settled by a response.
#[derive(Debug, Default)]
pub(crate) struct SettledFiles {
    /// All settled files.
    pub(crate) paths: Vec<Arc<str>>,
    /// Files that were rejected permanently, with the reason.
    pub(crate) rejected: Vec<(Arc<str>, String)>,
}

impl MediaQueue {
    pub(crate) fn new(limit: u64, retry: RetryPolicy, seed: u64) -> Self {
        Self {
            session: Session::new(LIMITS, retry, Duration::ZERO, seed),
            waiting: VecDeque::new(),
            bytes: 0,
            limit,
            known: HashSet::new(),
            known_order: VecDeque::new(),
        }
    }

    /// Checks whether the files fit. Otherwise returns the bytes in use and the limit.
    pub(crate) fn check_room(&self, files: &[MediaFile]) -> Result<(), (u64, u64)> {
        let more: u64 = self.unknown(files).map(cost).sum();
        // The files of a single row may exceed the limit; they are accepted if nothing else is
        // waiting.
        if more > 0 && self.bytes > 0 && self.bytes + more > self.limit {
            return Err((self.bytes, self.limit));
        }
        Ok(())
    }

    /// Returns the files that were never added.
    pub(crate) fn unknown<'a>(
        &self,
        files: &'a [MediaFile],
    ) -> impl Iterator<Item = &'a MediaFile> {
        files.iter().filter(|file| !self.known.contains(&file.path))
    }

    /// Adds the files of a row, except known ones. Returns whether the session has something new to
    /// send.
    pub(crate) fn add(&mut self, now: Instant, files: impl IntoIterator<Item = MediaFile>) -> bool {
        let mut is_news = false;
        for file in files {
            if !self.known.insert(Arc::clone(&file.path)) {
                continue;
            }
            self.known_order.push_back(Arc::clone(&file.path));
            if self.known_order.len() > REMEMBERED
                && let Some(oldest) = self.known_order.pop_front()
            {
                self.known.remove(&oldest);
            }
            self.bytes += cost(&file);
            is_news |= self.session.logged(now, file.bytes.len());
            self.waiting.push_back(file);
        }
        is_news
    }

    /// Returns the files to send now, or when to call again.
    pub(crate) fn next(&mut self, now: Instant) -> Result<Vec<MediaFile>, Option<Instant>> {
        let max_files = match self.session.poll(now) {
            Step::Append { max_lines, .. } => max_lines,
            Step::Wait(until) => return Err(until),
        };
        let (mut files, mut bytes) = (Vec::new(), 0);
        for file in self.waiting.iter().take(max_files) {
            bytes += file.bytes.len();
            if bytes > LIMITS.max_bytes && !files.is_empty() {
                bytes -= file.bytes.len();
                break;
            }
            files.push(file.clone());
        }
        self.session.sent(now, files.len() as u64, bytes);
        Ok(files)
    }

    /// Called with the response to an upload. Returns the files that are settled now.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        answer: Result<Appended, AppendError>,
    ) -> SettledFiles {
        let first = self.session.settled();
        let number = |answer: Appended| Appended {
            rejected: answer.rejected.into_iter().map(|(n, why)| (first + n, why)).collect(),
            end: answer.end.map(|end| first.saturating_add(end)),
            ..answer
        };
        let settled = self.session.answered(now, answer.map(number));
        let mut files = SettledFiles::default();
        let mut reasons = settled.rejected.into_iter().peekable();
        for n in first..self.session.settled() {
            let Some(file) = self.waiting.pop_front() else { break };
            self.bytes -= cost(&file);
            if let Some((_, reason)) = reasons.next_if(|(number, _)| *number == n) {
                files.rejected.push((Arc::clone(&file.path), reason));
            }
            files.paths.push(file.path);
        }
        files
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Returns the request that sends files of a table.
    pub(crate) fn upload(table: &TablePath, files: Vec<MediaFile>) -> Upload {
        Upload { table: table.clone(), files, timeout: LIMITS.append_timeout }
    }

    pub(crate) fn stats(&self) -> MediaStats {
        MediaStats {
            uploaded: self.session.acked(),
            pending: self.session.line_count() - self.session.settled(),
            failed: self.session.rejected(),
        }
    }
}

/// Returns the memory cost of a waiting file, including the overhead that matters for many small
/// files.
fn cost(file: &MediaFile) -> u64 {
    (file.bytes.len() + file.path.len() + size_of::<MediaFile>()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The overhead per file counts towards the limit.
    #[test]
    fn the_limit_includes_the_overhead_of_small_files() {
        let mut queue = MediaQueue::new(100_000, RetryPolicy::default(), 0);
        let mut count = 0_usize;
        loop {
            let path = format!("media/html/{count:040}.html").into();
            let files = [MediaFile { path, bytes: "x".into() }];
            if queue.check_room(&files).is_err() {
                break;
            }
            queue.add(Instant::now(), files);
            count += 1;
        }
        assert!((300..1500).contains(&count), "{count} files of one byte");
        queue.next(Instant::now() + Duration::from_secs(1)).unwrap();
        queue.answered(Instant::now(), Ok(Appended::default()));
        assert_eq!(queue.stats().uploaded, 64);
        let files = [MediaFile { path: "y".into(), bytes: "y".into() }];
        assert_eq!(queue.check_room(&files), Ok(()));
    }
}
