//! The delivery state machine: what to send next, and what a response means.

mod backoff;

use std::ops::Range;
use std::time::{Duration, Instant};

pub(crate) use backoff::Backoff;
pub use backoff::RetryPolicy;

use crate::seeded_bug::{Bug, is_seeded};
use crate::{AppendError, Appended, StopReason};

/// Limits of the batches in which rows are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Maximum number of rows in a batch. The default is 20,000.
    pub max_rows: usize,
    /// Maximum size of a batch in bytes; a single larger row is sent alone. The default is 4 MiB;
    /// servers of the protocol accept 10 MiB.
    pub max_bytes: usize,
    /// Maximum time that a row waits for others, unless a request is in flight. The default is 50
    /// ms.
    pub linger: Duration,
    /// Timeout of an append, after which it is retried. The default is 60 s.
    pub append_timeout: Duration,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            max_rows: 20_000,
            max_bytes: 4 << 20,
            linger: Duration::from_millis(50),
            append_timeout: Duration::from_secs(60),
        }
    }
}

/// Maximum number of consecutive lines that may be rejected alone, with an ambiguous status or as
/// too large. Then the stream stops, so that no more are lost.
const MAX_LONE_REJECTIONS: u32 = 16;

/// The delivery of one writer's rows: a state machine without clock, socket, rows or `async`.
///
/// Lines are numbered from 0 in the order in which they were logged. At most one append is in
/// flight. It contains the oldest lines that are not settled; a retry contains the same lines,
/// unless it must be smaller.
#[derive(Debug)]
pub(crate) struct Session {
    limits: BatchLimits,
    backoff: Backoff,
    /// Number of lines logged so far.
    logged: u64,
    /// All lines before this one are acked or rejected.
    settled: u64,
    acked: u64,
    rejected: u64,
    /// Size of the lines that were never sent.
    unsent_bytes: usize,
    /// When the oldest of these lines was logged.
    unsent_since: Option<Instant>,
    /// Lines before this one are sent without waiting for others.
    urgent_until: u64,
    in_flight: Option<Range<u64>>,
    retry: Option<Retry>,
    /// No append is sent before this time.
    not_before: Option<Instant>,
    pace: Duration,
    /// The longest delay that the backend asked for since it last stored something.
    asked: Duration,
    /// Maximum number of lines, after the backend rejected a larger number as too large.
    max_lines: usize,
    lone_rejections: u32,
    stopped: Option<StopReason>,
    last_error: Option<String>,
}

/// Lines that were sent without success.
#[derive(Debug)]
struct Retry {
    lines: Range<u64>,
    attempts: u32,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Append lines starting at `first`, at most `max_lines`; then call [`Session::sent`] with
    /// their number.
    Append { first: u64, max_lines: usize },
    /// Nothing, until a line is logged or, if a time is given, until then.
    Wait(Option<Instant>),
}

/// Lines that were settled by a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Permanently rejected lines, with the reason.
    pub(crate) rejected: Vec<(u64, String)>,
}

impl Session {
    pub(crate) fn new(limits: BatchLimits, retry: RetryPolicy, pace: Duration, seed: u64) -> Self {
        Self {
            backoff: Backoff::new(retry, seed),
            logged: 0,
            settled: 0,
            acked: 0,
            rejected: 0,
            unsent_bytes: 0,
            unsent_since: None,
            urgent_until: 0,
            in_flight: None,
            retry: None,
            not_before: None,
            pace,
            asked: Duration::ZERO,
            max_lines: limits.max_rows.max(1),
            lone_rejections: 0,
            stopped: None,
            last_error: None,
            limits,
        }
    }

    /// Records a new line of `bytes` bytes. Returns whether the result of [`poll`](Self::poll)
    /// changes.
    pub(crate) fn logged(&mut self, now: Instant, bytes: usize) -> bool {
        self.logged += 1;
        let was_full = self.is_batch_full();
        self.unsent_bytes += bytes;
        let is_first = self.unsent_since.is_none();
        self.unsent_since.get_or_insert(now);
        is_first || (self.is_batch_full() && !was_full)
    }

    /// Called when a caller waits for all lines logged so far.
    pub(crate) fn flush(&mut self) {
        self.urgent_until = self.logged;
    }

    /// Returns what to do now.
    pub(crate) fn poll(&self, now: Instant) -> Step {
        if self.stopped.is_some() || self.in_flight.is_some() {
            return Step::Wait(None);
        }
        let first = self.settled;
        let (due, max_lines) = match (&self.retry, self.unsent_since) {
            // A retry is never longer than the original append.
            (Some(retry), _) => {
                (self.not_before, self.max_lines.min((retry.lines.end - first) as usize))
            }
            (None, None) => return Step::Wait(None),
            (None, Some(_)) if self.is_batch_full() || first < self.urgent_until => {
                (self.not_before, self.max_lines)
            }
            (None, Some(since)) => {
                let lingered = since + reachable(self.limits.linger);
                (self.not_before.max(Some(lingered)), self.max_lines)
            }
        };
        match due {
            Some(due) if due > now => Step::Wait(Some(due)),
            _ => Step::Append { first, max_lines },
        }
    }

    /// Records that `count` lines of `bytes` bytes were sent, as [`poll`](Self::poll) requested.
    pub(crate) fn sent(&mut self, now: Instant, count: u64, bytes: usize) {
        let lines = self.settled..self.settled + count;
        if self.retry.is_none() {
            self.unsent_bytes = self.unsent_bytes.saturating_sub(bytes);
            self.unsent_since = (lines.end < self.logged).then_some(now);
        }
        self.not_before = Some(now + reachable(self.pace));
        self.in_flight = Some(lines);
    }

    /// Called with the response to the append in flight.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        answer: Result<Appended, AppendError>,
    ) -> Settled {
        let Some(lines) = self.in_flight.take() else { return Settled::default() };
        let count = lines.end - lines.start;
        match answer {
            Ok(appended) => {
                if let Some(message) = contradiction(&lines, &appended) {
                    return self.failed(now, lines, message, None);
                }
                let end = appended.end.unwrap_or(lines.end);
                if end < lines.end {
                    self.schedule_retry(end..lines.end, 0);
                }
                self.stored(now, lines.start..end, appended)
            }
            Err(AppendError::Transient { .. }) if is_seeded(Bug::AckOnLostReply) => {
                self.stored(now, lines, Appended::default())
            }
            Err(AppendError::Transient { message, retry_after }) => {
                self.failed(now, lines, message, retry_after)
            }
            Err(AppendError::TooLarge | AppendError::Refused { .. }) if count > 1 => {
                self.max_lines = (count / 2) as usize;
                self.schedule_retry(lines, self.attempts());
                Settled::default()
            }
            Err(error @ (AppendError::TooLarge | AppendError::Refused { .. })) => {
                let message = match error {
                    AppendError::Refused { message } => message,
                    too_large => too_large.to_string(),
                };
                if self.lone_rejections >= MAX_LONE_REJECTIONS {
                    self.schedule_retry(lines, self.attempts());
                    self.stop(StopReason::Refused { message });
                    return Settled::default();
                }
                self.lone_rejections += 1;
                let rejected = vec![(lines.start, message)];
                self.settle(lines, Appended { rejected, ..Appended::default() })
            }
            Err(AppendError::Stopped(reason)) => {
                self.schedule_retry(lines, self.attempts());
                self.stop(reason);
                Settled::default()
            }
        }
    }

    /// Continues after a stop. Otherwise, a delay that the backend asked for still applies.
    pub(crate) fn resume(&mut self) {
        if self.stopped.take().is_some() {
            self.not_before = None;
            self.lone_rejections = 0;
        }
    }

    /// Stops for a reason outside of an append.
    pub(crate) fn stop(&mut self, reason: StopReason) {
        self.last_error = Some(reason.to_string());
        self.stopped = Some(reason);
    }

    pub(crate) fn stop_reason(&self) -> Option<&StopReason> {
        self.stopped.as_ref()
    }

    /// Returns the most recent error since the backend last stored something.
    pub(crate) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Returns the longest delay that the backend asked for since it last stored something.
    pub(crate) fn asked(&self) -> Duration {
        self.asked
    }

    /// Returns whether the next append, or the one in flight, sends lines that were sent before.
    pub(crate) fn is_repeating(&self) -> bool {
        self.retry.is_some()
    }

    pub(crate) fn line_count(&self) -> u64 {
        self.logged
    }

    pub(crate) fn settled(&self) -> u64 {
        self.settled
    }

    pub(crate) fn acked(&self) -> u64 {
        self.acked
    }

    pub(crate) fn rejected(&self) -> u64 {
        self.rejected
    }

    fn is_batch_full(&self) -> bool {
        self.unsent_bytes >= self.limits.max_bytes
            || self.logged - self.settled >= self.max_lines as u64
    }

    /// Returns the number of failed attempts of the next append, or of the one in flight.
    pub(crate) fn attempts(&self) -> u32 {
        self.retry.as_ref().map_or(0, |retry| retry.attempts)
    }

    /// Schedules a retry after a delay, because the append was not acknowledged.
    fn failed(
        &mut self,
        now: Instant,
        lines: Range<u64>,
        message: String,
        retry_after: Option<Duration>,
    ) -> Settled {
        self.last_error = Some(message);
        let attempts = self.attempts() + 1;
        let asked = retry_after.unwrap_or_default();
        self.asked = self.asked.max(asked);
        let delay = self.backoff.delay(attempts).max(asked);
        self.not_before = self.not_before.max(Some(now + reachable(delay)));
        self.schedule_retry(lines, attempts);
        Settled::default()
    }

    fn stored(&mut self, now: Instant, lines: Range<u64>, appended: Appended) -> Settled {
        self.last_error = None;
        self.asked = Duration::ZERO;
        self.lone_rejections = 0;
        self.max_lines = self.max_lines.saturating_mul(2).min(self.limits.max_rows.max(1));
        self.not_before = self.not_before.max(Some(now + reachable(appended.pause)));
        self.settle(lines, appended)
    }

    /// Schedules a retry. Later lines that were part of a longer attempt still count as sent.
    fn schedule_retry(&mut self, lines: Range<u64>, attempts: u32) {
        let end = self.retry.as_ref().map_or(lines.end, |retry| retry.lines.end.max(lines.end));
        self.retry = Some(Retry { lines: lines.start..end, attempts });
    }

    fn settle(&mut self, lines: Range<u64>, appended: Appended) -> Settled {
        let mut rejected = appended.rejected;
        rejected.sort_by_key(|(line, _)| *line);
        rejected.dedup_by_key(|(line, _)| *line);
        self.rejected += rejected.len() as u64;
        self.acked += lines.end - lines.start - rejected.len() as u64;
        self.settled = lines.end;
        self.retry = match self.retry.take() {
            Some(retry) if retry.lines.end > lines.end => {
                Some(Retry { lines: lines.end..retry.lines.end, attempts: 0 })
            }
            _ => None,
        };
        Settled { rejected }
    }
}

/// Returns why a response cannot be the response to an append of these lines, if so.
fn contradiction(lines: &Range<u64>, appended: &Appended) -> Option<String> {
    let Range { start, end: sent } = lines;
    if let Some(end) = appended.end.filter(|end| end <= start || end > sent) {
        return Some(format!("the response covers lines up to {end}, not {start} to {sent}"));
    }
    let other = appended.rejected.iter().find(|(line, _)| !lines.contains(line));
    other.map(|(line, _)| format!("the response rejects line {line}, not one of {start} to {sent}"))
}

/// Limits a duration to a century, so that adding it to an instant cannot overflow.
pub(crate) fn reachable(duration: Duration) -> Duration {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    duration.min(CENTURY)
}
