//! Delivery of orphaned spools.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use streamtable_schema::TablePath;

use super::disk::off_thread;
use super::orphan::{Loaded, Merge, OrphanSpool};
use crate::delivery::{Answer, Lane, Request, Source};
use crate::lines::Block;
use crate::media::MediaQueue;
use crate::seeded_bug::{Bug, is_seeded};
use crate::session::{Session, Step};
use crate::shared::now;
use crate::{Append, Backend, BatchLimits, Lines, RetryPolicy, StopReason};

/// Limits for the media files in memory. A single larger file is allowed.
const FILES_AT_ONCE: usize = 64;
const FILE_BYTES_AT_ONCE: usize = 16 << 20;

/// The destination of the rows, and how to send them.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) table: TablePath,
    pub(crate) limits: BatchLimits,
    pub(crate) retry: RetryPolicy,
    pub(crate) pace: std::time::Duration,
}

/// Receives the progress of a delivery.
#[async_trait]
pub(crate) trait Watch: Send {
    fn on_event(&mut self, event: Event<'_>);

    /// Called when the backend stops accepting rows. Waits until a retry makes sense, or returns
    /// `false` if none does.
    async fn stopped(&mut self, reason: &StopReason) -> bool;
}

/// Progress of a delivery.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// This number of rows was found.
    Found(u64),
    /// The backend has stored this number of rows.
    Acked(u64),
    /// The backend rejected a row permanently.
    Rejected { line: &'a [u8], reason: &'a str },
    /// The backend has stored some media files, and rejected others permanently.
    Media { uploaded: u64, failed: u64 },
    /// Something was damaged and is now at this path.
    SetAside(&'a Path),
    /// This number of lines was lost in damaged places.
    Lost(u64),
    /// This number of bytes at the end belong to an incomplete write.
    Torn(u64),
    /// The last `attempts` attempts failed.
    Failed { attempts: u32, reason: &'a str },
    /// An error that affects no row.
    Trouble(&'a io::Error),
}

/// The outcome of a delivery.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// All rows are settled and the spool is removed.
    Done,
    /// The backend stopped accepting rows; the remaining ones stay in the spool.
    Stopped(StopReason),
}

/// Delivers an orphaned spool, continuing where its writer stopped.
///
/// At most one segment is in memory at a time. If the future is dropped, acked rows stay acked and
/// the others stay in the spool. After an error, unreadable data stays where it is.
pub(crate) async fn deliver_orphan(
    mut orphan: OrphanSpool,
    target: &Target,
    watch: &mut dyn Watch,
) -> io::Result<Delivery> {
    let disk = Arc::clone(&orphan.disk);
    let salt = orphan.header.salt();
    let (from, dir) = (Arc::clone(&disk), orphan.dir.clone());
    let (segments, watermark) = (orphan.segments.clone(), orphan.acked.watermark());
    let begin = off_thread(&disk, move || Merge::new(&*from, &dir, &segments, watermark)).await?;
    let mut merge = begin?;
    let (mut keeps, mut delivered) = (None, Vec::new());
    for (i, number) in orphan.segments.clone().into_iter().enumerate() {
        let (path, from) = (orphan.segment_path(number), Arc::clone(&disk));
        let loaded = off_thread(&disk, move || Loaded::read(&*from, &path, salt)).await??;
        match set_aside(&orphan, number, &loaded, watch) {
            Ok(()) => delivered.push(number),
            Err(error) => keeps = Some(error),
        }
        let runs = merge.take(i, &loaded);
        watch.on_event(Event::Found(runs.iter().map(|(_, block)| block.len() as u64).sum()));
        for (first, block) in runs {
            if first > merge.next {
                watch.on_event(Event::Lost(first - merge.next));
            }
            if let Err(reason) = rows(&mut orphan, target, watch, first, &block).await {
                return Ok(Delivery::Stopped(reason));
            }
            merge.next = first + block.len() as u64;
        }
        // The last segment stays until the media files are delivered: its header identifies the
        // writer.
        if !merge.is_carrying()
            && i + 1 < orphan.segments.len()
            && let Err(error) = orphan.remove_segments(merge.next, delivered.drain(..))
        {
            watch.on_event(Event::Trouble(&error));
        }
    }
    if merge.missing_at_end() > 0 {
        watch.on_event(Event::Lost(merge.missing_at_end()));
    }
    if let Err(reason) = files(&orphan, target, watch).await? {
        return Ok(Delivery::Stopped(reason));
    }
    match keeps {
        Some(error) => Err(error),
        None => {
            off_thread(&disk, move || orphan.remove(merge.next)).await??;
            Ok(Delivery::Done)
        }
    }
}

/// Copies a segment's damaged bytes to the `set-aside` folder and reports them.
fn set_aside(
    orphan: &OrphanSpool,
    number: u64,
    loaded: &Loaded,
    watch: &mut dyn Watch,
) -> io::Result<()> {
    for range in &loaded.scan.damaged {
        let path = orphan.set_aside(number, range.start, loaded.bytes(range.clone()))?;
        watch.on_event(Event::SetAside(&path));
    }
    if !loaded.scan.torn.is_empty() {
        watch.on_event(Event::Torn(loaded.scan.torn.len() as u64));
    }
    Ok(())
}

/// A source of an orphaned spool, which does not grow.
trait OrphanSource: Source {
    fn session_mut(&mut self) -> &mut Session;
    fn watch(&mut self) -> &mut dyn Watch;
}

/// Delivers a source completely, or until it stops and the observer does not want a retry.
async fn until_settled(
    source: impl OrphanSource,
    backend: &Arc<dyn Backend>,
) -> Result<(), StopReason> {
    let mut lane = Lane::new(source, backend);
    lane.source.session_mut().flush();
    loop {
        lane.run().await;
        let session = lane.source.session_mut();
        if session.settled() == session.line_count() {
            return Ok(());
        }
        let reason = session.stop_reason().cloned();
        let reason = reason.unwrap_or(StopReason::Refused { message: String::new() });
        if !lane.source.watch().stopped(&reason).await {
            return Err(reason);
        }
        lane.source.session_mut().resume();
    }
}

/// Reports the failure of the last attempt, if it failed.
fn report_failure(session: &Session, watch: &mut dyn Watch) {
    if let Some(reason) = session.last_error() {
        watch.on_event(Event::Failed { attempts: session.attempts(), reason });
    }
}

/// Delivers a run of consecutive lines.
async fn rows(
    orphan: &mut OrphanSpool,
    target: &Target,
    watch: &mut dyn Watch,
    run: u64,
    block: &Block,
) -> Result<(), StopReason> {
    let seed = u64::from(orphan.header.salt());
    let mut session = Session::new(target.limits, target.retry, target.pace, seed);
    for line in 0..block.len() {
        session.logged(now(), block.start(line + 1) - block.start(line));
    }
    let writer = orphan.header.writer.as_str().into();
    let source = OrphanRows { orphan, target, watch, session, writer, run, block };
    until_settled(source, &target.backend).await
}

/// A run of consecutive lines of a spool.
struct OrphanRows<'a> {
    orphan: &'a mut OrphanSpool,
    target: &'a Target,
    watch: &'a mut dyn Watch,
    session: Session,
    writer: Arc<str>,
    /// The number of the first line in the spool.
    run: u64,
    block: &'a Block,
}

impl OrphanRows<'_> {
    /// The number that the backend knows the first line by.
    fn base(&self) -> u64 {
        self.orphan.header.base + self.run
    }
}

impl Source for OrphanRows<'_> {
    type Sent = Lines;

    fn next(&mut self) -> Result<(Request, Lines), Option<Instant>> {
        let (first, max_lines) = match self.session.poll(now()) {
            Step::Append { first, max_lines } => (first, max_lines),
            Step::Wait(until) => return Err(until),
        };
        let limits = self.target.limits;
        let start = usize::try_from(first).unwrap_or(usize::MAX);
        let count = self.block.fit(start, limits.max_bytes).clamp(1, max_lines.max(1));
        let mut lines = Lines::default();
        lines.push(self.block, start..start + count);
        let is_forgotten = is_seeded(Bug::ForgottenOffset) && self.session.is_repeating();
        self.session.sent(now(), count as u64, lines.bytes());
        let append = Append {
            table: self.target.table.clone(),
            writer: Arc::clone(&self.writer),
            first_line: if is_forgotten { first } else { self.base() + first },
            lines: lines.clone(),
            columns: self.orphan.columns(),
            timeout: limits.append_timeout,
        };
        Ok((Request::Append(append), lines))
    }

    fn answered(&mut self, lines: Lines, answer: Answer) {
        if let Err(error) = &answer {
            tracing::debug!(table = %self.target.table, writer = %self.writer, %error, "append failed");
        }
        let base = self.base();
        let (first, acked) = (self.session.settled(), self.session.acked());
        let answer = answer.map(|appended| appended.relative_to(base));
        let settled = self.session.answered(now(), answer);
        report_failure(&self.session, self.watch);
        for (line, reason) in &settled.rejected {
            let text = lines.get(line - first);
            if let Err(error) =
                self.orphan.rejected_log.add(&self.writer, base + line, text, reason)
            {
                self.watch.on_event(Event::Trouble(&error));
            }
            self.watch.on_event(Event::Rejected { line: text, reason });
        }
        if self.session.settled() > first {
            let end = self.orphan.acked.watermark().end;
            if let Err(error) = self.orphan.acked.write(self.run + self.session.settled(), end) {
                self.watch.on_event(Event::Trouble(&error));
            }
            self.watch.on_event(Event::Acked(self.session.acked() - acked));
        }
    }
}

impl OrphanSource for OrphanRows<'_> {
    fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    fn watch(&mut self) -> &mut dyn Watch {
        self.watch
    }
}

/// Delivers the media files.
async fn files(
    orphan: &OrphanSpool,
    target: &Target,
    watch: &mut dyn Watch,
) -> io::Result<Result<(), StopReason>> {
    let seed = u64::from(orphan.header.salt());
    let mut names = orphan.media.names()?.into_iter().peekable();
    while names.peek().is_some() {
        let mut queue = MediaQueue::new(u64::MAX, target.retry, seed);
        let (mut count, mut bytes) = (0, 0);
        while count < FILES_AT_ONCE
            && bytes < FILE_BYTES_AT_ONCE
            && let Some(name) = names.next()
        {
            let (media, read) = (Arc::clone(&orphan.media), name.clone());
            match off_thread(&orphan.disk, move || media.read(&read)).await?? {
                Some(file) => {
                    count += 1;
                    bytes += file.bytes.len();
                    queue.add(now(), [file]);
                }
                None => {
                    let path = orphan.move_aside(&orphan.media.file(&name), &name)?;
                    watch.on_event(Event::SetAside(&path));
                }
            }
        }
        let source = OrphanFiles { orphan, table: &target.table, watch, queue };
        if let Err(reason) = until_settled(source, &target.backend).await {
            return Ok(Err(reason));
        }
    }
    Ok(Ok(()))
}

/// Some of the media files of a spool.
struct OrphanFiles<'a> {
    orphan: &'a OrphanSpool,
    table: &'a TablePath,
    watch: &'a mut dyn Watch,
    queue: MediaQueue,
}

impl Source for OrphanFiles<'_> {
    type Sent = ();

    fn next(&mut self) -> Result<(Request, ()), Option<Instant>> {
        let files = self.queue.next(now())?;
        Ok((Request::Upload(MediaQueue::upload(self.table, files)), ()))
    }

    fn answered(&mut self, (): (), answer: Answer) {
        let settled = self.queue.answered(now(), answer);
        report_failure(self.queue.session(), self.watch);
        for (path, reason) in &settled.rejected {
            tracing::warn!(table = %self.table, %path, %reason, "a media file was rejected");
        }
        let failed = settled.rejected.len() as u64;
        for path in &settled.paths {
            if let Err(error) = self.orphan.media.remove(path) {
                self.watch.on_event(Event::Trouble(&error));
            }
        }
        let uploaded = settled.paths.len() as u64 - failed;
        self.watch.on_event(Event::Media { uploaded, failed });
    }
}

impl OrphanSource for OrphanFiles<'_> {
    fn session_mut(&mut self) -> &mut Session {
        self.queue.session_mut()
    }

    fn watch(&mut self) -> &mut dyn Watch {
        self.watch
    }
}
