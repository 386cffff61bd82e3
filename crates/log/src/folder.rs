//! A log in a local folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot;

use crate::disk::{create_dir_all_synced, named};
use crate::local::{
    HEADER, LocalLog, LocalLogConfig, Marker, Rotated, SegmentId, list, read_bytes, read_segment,
};
use crate::{Appended, FIRST, FrameId, Log, LogError};

/// A log in a local folder, which one process owns.
///
/// Appends of several callers are synced together. After a failed write, no append succeeds until
/// the log is opened again: it is not known which frames are on disk.
#[derive(Debug)]
pub struct FolderLog {
    folder: PathBuf,
    log: LocalLog,
    state: Arc<State>,
    _lock: File,
}

#[derive(Debug)]
struct State {
    /// One more than the number of the last durable frame.
    next: AtomicU64,
    has_failed: AtomicBool,
}

impl FolderLog {
    /// Opens the log in a folder, which is created if it does not exist. A file is closed once it has
    /// this many bytes.
    ///
    /// Blocks.
    pub fn open(folder: impl Into<PathBuf>, segment_bytes: u64) -> io::Result<Self> {
        let folder = folder.into();
        create_dir_all_synced(&folder)?;
        let lock = File::open(&folder).map_err(named(&folder))?;
        match fs4::FileExt::try_lock(&lock) {
            Ok(()) => {}
            Err(fs4::TryLockError::WouldBlock) => {
                return Err(io::Error::other(format!("another process owns {}", folder.display())));
            }
            Err(fs4::TryLockError::Error(error)) => return Err(error),
        }
        let (mut marker, mark, _) = Marker::read(&folder)?;
        let mark = mark.unwrap_or_default();
        let listed = list(&folder)?;
        let newest = listed.highest.max(mark.last.map_or(0, |last| last.segment));
        let mut next = mark.acked().max(FIRST);
        let mut starts = BTreeMap::new();
        for id in listed.segments {
            for (number, _) in read_frames(&folder, id)? {
                starts.entry(id.0).or_insert(number);
                next = next.max(number + 1);
            }
        }
        marker.recovered(starts, next);
        let config = LocalLogConfig { folder: folder.clone(), segment_bytes };
        let log = LocalLog::start(config, SegmentId(newest + 1), next, marker)?;
        let state = State { next: AtomicU64::new(next), has_failed: AtomicBool::new(false) };
        Ok(Self { folder, log, state: Arc::new(state), _lock: lock })
    }

    /// Waits until the current file is closed.
    async fn rotate(&self) -> Result<Rotated, LogError> {
        let (then, rotated) = oneshot::channel();
        self.log.rotate(move |rotated| {
            // The caller may have been dropped.
            let _ = then.send(rotated);
        });
        rotated.await.map_err(|_| unavailable("the log is closed"))
    }

    fn first(&self) -> u64 {
        self.log.first().unwrap_or(FIRST)
    }
}

/// Reads the frames of a file. Damaged parts are skipped.
fn read_frames(folder: &Path, id: SegmentId) -> io::Result<Vec<(u64, Bytes)>> {
    let bytes = read_bytes(&id.path(folder))?.bytes.into();
    Ok(read_segment(&bytes, |payload| Some(payload.clone())).frames)
}

fn unavailable(reason: impl ToString) -> LogError {
    LogError::Unavailable { reason: reason.to_string() }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, LogError> {
    let result = tokio::task::spawn_blocking(work).await;
    result.map_err(unavailable)?.map_err(unavailable)
}

#[async_trait]
impl Log for FolderLog {
    async fn append(&self, at: u64, _: FrameId, frame: Bytes) -> Result<Appended, LogError> {
        if self.state.has_failed.load(Ordering::Acquire) {
            return Err(unavailable("a write has failed; the log must be opened again"));
        }
        let next = self.state.next.load(Ordering::Acquire);
        if at > next {
            let reason = format!("frame {at} does not follow on its last frame, {}", next - 1);
            return Err(LogError::Damaged { reason });
        }
        let base = self.first();
        if at < base {
            return Err(LogError::Trimmed { number: at, base });
        }
        let frame = [&[0; HEADER], &frame[..]].concat();
        let (done, outcome) = oneshot::channel();
        let state = Arc::clone(&self.state);
        let settle = move |outcome: Result<Appended, Arc<io::Error>>| {
            match &outcome {
                Ok(Appended::Durable) => {
                    state.next.fetch_max(at + 1, Ordering::AcqRel);
                }
                Ok(Appended::Lost) => {}
                Err(_) => state.has_failed.store(true, Ordering::Release),
            }
            // The caller may have been dropped; the frame is stored anyway.
            let _ = done.send(outcome);
        };
        self.log.submit_at(at, frame, Box::new(settle));
        outcome.await.map_err(|_| unavailable("the log is closed"))?.map_err(unavailable)
    }

    async fn read(&self, from: u64) -> Result<Vec<Option<Bytes>>, LogError> {
        let next = self.state.next.load(Ordering::Acquire);
        let base = self.first();
        if from < base {
            return Err(LogError::Trimmed { number: from, base });
        }
        if from >= next {
            return Ok(Vec::new());
        }
        // One file at a time, the last one that begins at or below the number.
        let starts = self.log.starts();
        let file = starts.iter().rev().find(|(_, start)| **start <= from).map(|(id, _)| *id);
        let after = starts.values().find(|start| **start > from);
        let end = after.map_or(next, |&start| start.min(next));
        let folder = self.folder.clone();
        let found = match file {
            Some(id) => blocking(move || read_frames(&folder, SegmentId(id))).await?,
            None => Vec::new(),
        };
        let mut frames = vec![None; (end - from) as usize];
        for (number, frame) in found {
            if (from..end).contains(&number) {
                frames[(number - from) as usize].get_or_insert(frame);
            }
        }
        Ok(frames)
    }

    async fn base(&self) -> Result<u64, LogError> {
        Ok(self.first())
    }

    async fn trim(&self, below: u64) -> Result<(), LogError> {
        // Files are deleted as a whole: all before the one with the number, or all.
        let next = self.state.next.load(Ordering::Acquire);
        let starts = self.log.starts();
        let before = if below >= next && !starts.is_empty() {
            self.rotate().await?.next
        } else {
            match starts.iter().rev().find(|(_, start)| **start <= below) {
                Some((id, _)) => SegmentId(*id),
                None => return Ok(()),
            }
        };
        blocking(self.log.trim(before)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    #[tokio::test]
    async fn conformance() {
        let folder = tempfile::tempdir().unwrap();
        // Files of one frame each, of some, and of all.
        for segment_bytes in [1, 200, 1 << 20] {
            let open = |name: String| {
                let folder = folder.path().join(format!("{name}-{segment_bytes}"));
                async move { FolderLog::open(folder, segment_bytes).map_err(|it| it.to_string()) }
            };
            assert_eq!(conformance::run_all(open).await, Vec::<String>::new());
        }
    }

    #[tokio::test]
    async fn a_folder_has_one_owner() {
        let folder = tempfile::tempdir().unwrap();
        let log = FolderLog::open(folder.path(), 1).unwrap();
        assert!(FolderLog::open(folder.path(), 1).is_err());
        drop(log);
        FolderLog::open(folder.path(), 1).unwrap();
    }

    #[tokio::test]
    async fn nothing_is_appended_after_a_failed_write() {
        let folder = tempfile::tempdir().unwrap();
        let log = FolderLog::open(folder.path(), 1).unwrap();
        let append = |at| log.append(at, FrameId::random(), "frame".into());
        append(1).await.unwrap();
        let obstacle = SegmentId(2).path(folder.path());
        std::fs::create_dir(&obstacle).unwrap();
        assert!(matches!(append(2).await, Err(LogError::Unavailable { .. })));
        std::fs::remove_dir(&obstacle).unwrap();
        assert!(matches!(append(2).await, Err(LogError::Unavailable { .. })));
        drop(log);
        let log = FolderLog::open(folder.path(), 1).unwrap();
        assert_eq!(log.read(1).await, Ok(vec![Some("frame".into())]));
        let appended = log.append(2, FrameId::random(), "frame".into()).await;
        assert_eq!(appended, Ok(Appended::Durable));
    }

    #[tokio::test]
    async fn a_damaged_frame_keeps_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let log = FolderLog::open(folder.path(), 1 << 20).unwrap();
        for at in 1..4 {
            log.append(at, FrameId::random(), format!("frame {at}").into()).await.unwrap();
        }
        drop(log);
        let id = list(folder.path()).unwrap().segments[0];
        let mut bytes = std::fs::read(id.path(folder.path())).unwrap();
        let at = bytes.windows(7).position(|it| it == b"frame 2").unwrap();
        bytes[at] ^= 1;
        std::fs::write(id.path(folder.path()), bytes).unwrap();
        let log = FolderLog::open(folder.path(), 1 << 20).unwrap();
        let frames = log.read(1).await.unwrap();
        assert_eq!(frames, [Some("frame 1".into()), None, Some("frame 3".into())]);
        let appended = log.append(4, FrameId::random(), "frame 4".into()).await;
        assert_eq!(appended, Ok(Appended::Durable));
    }
}
