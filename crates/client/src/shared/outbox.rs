//! What the driver sends, and how responses change the state.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use streamtable_wire::HistoryLine;

use super::{Shared, now};
use crate::journal::Journal;
use crate::media::MediaQueue;
use crate::seeded_bug::{self, Bug};
use crate::session::Step;
use crate::{Append, AppendError, Appended, Lines, Rejected, RejectedMedia, StopReason, Upload};

/// The number of consecutive failed attempts after which a warning is logged: some seconds with the
/// default [`RetryPolicy`](crate::RetryPolicy).
pub(crate) const REPORTED_ATTEMPT: u32 = 5;

impl Shared {
    /// Returns the append to send now, or when to call again.
    pub(crate) fn next_append(&self) -> Result<Append, Option<Instant>> {
        let mut core = self.core();
        let now = now();
        let (first, max_lines) = match core.session.poll(now) {
            Step::Append { first, max_lines } => (first, max_lines),
            Step::Wait(until) => return Err(until),
        };
        if let Some(spool) = core.journal.spool() {
            // An error is reported to the `log` call of these lines.
            let _ = spool.commit();
        }
        let lines = match core.journal.journal().read(first, max_lines, self.limits.max_bytes) {
            Ok(lines) if (1..=max_lines).contains(&lines.len()) => lines,
            unusable => {
                let reason = match unusable {
                    Ok(lines) => {
                        format!("it returned {} lines instead of 1 to {max_lines}", lines.len())
                    }
                    Err(error) => error.to_string(),
                };
                let message = format!("the journal cannot be read: {reason}");
                core.session.stop(StopReason::Refused { message });
                self.progress.notify_waiters();
                return Err(None);
            }
        };
        let (number, lines) = seeded_bug::in_append(first, lines, core.session.is_repeating());
        core.session.sent(now, lines.len() as u64, lines.bytes());
        if seeded_bug::is_seeded(Bug::EarlyTrim)
            && let Some(spool) = core.journal.spool()
        {
            let _ = spool.trim(first + lines.len() as u64);
        }
        drop(core);
        Ok(Append {
            table: self.table.clone(),
            writer: Arc::clone(&self.writer),
            first_line: self.first_line + number,
            lines,
            columns: self.columns,
            timeout: self.limits.append_timeout,
        })
    }

    /// Called with the response to an append of these lines.
    pub(crate) fn appended(&self, lines: &Lines, answer: Result<Appended, AppendError>) {
        if let Err(error) = &answer {
            tracing::debug!(table = %self.table, %error, "append failed");
        }
        let mut core = self.core();
        core.appends.count += 1;
        core.appends.failed += u64::from(answer.is_err());
        core.appends.bytes += lines.bytes() as u64;
        let first = core.session.settled();
        // The backend counts from the table's line number at opening.
        let answer = answer.map(|appended| appended.relative_to(self.first_line));
        let settled = core.session.answered(now(), answer);
        let until = core.session.settled();
        let rejected: Vec<_> = settled
            .rejected
            .into_iter()
            .map(|(line, reason)| {
                let text = usize::try_from(line - first).ok().and_then(|i| lines.iter().nth(i));
                (line, text.unwrap_or_default(), reason)
            })
            .collect();
        // Record rejected rows before their lines are trimmed.
        let mut kept = Ok(());
        if let Some(spool) = core.journal.spool() {
            for (line, text, reason) in &rejected {
                kept = kept.and(spool.record_rejected(*line, text, reason));
            }
        }
        for (line, _, reason) in &rejected {
            core.rejections.record(*line, reason);
        }
        let trimmed = if until > first { core.journal.journal().trim(until) } else { Ok(()) };
        let stopped = core.session.stop_reason().cloned();
        let trouble = core.session.last_error().map(str::to_owned);
        let is_trouble_new = core.session.attempts() == REPORTED_ATTEMPT;
        drop(core);
        self.progress.notify_waiters();
        if let Some(error) = trouble.filter(|_| is_trouble_new) {
            tracing::warn!(table = %self.table, %error, "delivery of rows fails; it is retried");
        }
        if let Err(error) = trimmed {
            tracing::warn!(table = %self.table, %error, "the journal cannot be trimmed");
        }
        if let Some(reason) = stopped {
            tracing::error!(table = %self.table, %reason, "delivery has stopped; rows stay in the buffer");
        }
        if let Err(error) = kept {
            tracing::warn!(table = %self.table, %error, "rejected rows cannot be recorded");
        }
        for (_, text, reason) in rejected {
            self.reject(text, reason);
        }
    }

    /// Returns the upload to send now, or when to call again.
    pub(crate) fn next_upload(&self) -> Result<Upload, Option<Instant>> {
        let files = self.core().media.next(now())?;
        Ok(Upload { table: self.table.clone(), files, timeout: MediaQueue::timeout() })
    }

    /// Called with the response to an upload.
    pub(crate) fn uploaded(&self, answer: Result<Appended, AppendError>) {
        if let Err(error) = &answer {
            tracing::debug!(table = %self.table, %error, "upload failed");
        }
        let mut core = self.core();
        let settled = core.media.answered(now(), answer);
        let stopped = core.media.session().stop_reason().cloned();
        let trouble = core.media.session().last_error().map(str::to_owned);
        let is_trouble_new = core.media.session().attempts() == REPORTED_ATTEMPT;
        drop(core);
        self.progress.notify_waiters();
        if let Some(error) = trouble.filter(|_| is_trouble_new) {
            tracing::warn!(table = %self.table, %error, "delivery of media files fails; it is retried");
        }
        if let Some(reason) = stopped {
            tracing::error!(table = %self.table, %reason, "delivery of media files has stopped; they stay in the buffer");
        }
        if let Some(media_spool) = &self.media_spool {
            for path in &settled.paths {
                // If a file cannot be removed, the next process uploads it again; uploads are
                // idempotent.
                let _ = media_spool.remove(path);
            }
        }
        for (path, reason) in settled.rejected {
            tracing::warn!(table = %self.table, %path, %reason, "a media file was rejected");
            if let Some(on_reject) = &self.on_media_reject {
                let path = path.to_string();
                call_back(|| on_reject(RejectedMedia { path, reason }));
            }
        }
    }

    pub(crate) fn reject(&self, line: &[u8], reason: String) {
        tracing::warn!(table = %self.table, %reason, "a row was rejected");
        if let Some(on_reject) = &self.on_reject {
            let line = String::from_utf8_lossy(line).into_owned();
            let row = HistoryLine::parse(&line).map(|line| line.row).unwrap_or_default();
            call_back(|| on_reject(Rejected { row, line, reason }));
        }
    }
}

/// Calls the caller's code. A panic there must not stop the delivery; the panic hook reports it.
fn call_back(call: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(call));
}
