//! What to send next, and what an answer means: the part that must be right.

mod backoff;

use std::ops::Range;
use std::time::{Duration, Instant};

pub(crate) use backoff::Backoff;
pub use backoff::RetryPolicy;

use crate::seeded_bug::{Bug, is_seeded};
use crate::{AppendError, Appended, StopReason};

/// When rows go out together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// As many rows go out at once at the most. 20,000 by default.
    pub max_rows: usize,
    /// As many bytes of rows go out at once at the most, unless one row alone has more. 4 MiB by
    /// default; the protocol's servers take 10 MiB.
    pub max_bytes: usize,
    /// A row waits for others at most this long, unless a request is on its way. 50 ms by default.
    pub linger: Duration,
    /// An append that takes longer has failed, and is repeated. 60 s by default.
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

/// So many lines in a row may be refused alone by a status that might mean anything, or as too
/// large, before the stream stops rather than lose more.
const MAX_LONE_REFUSALS: u32 = 16;

/// One writer's rows on their way: a state machine without clock, socket, rows or `async`.
///
/// Lines are numbered from 0 in the order in which they were logged. At any time at most one
/// append is in flight; it covers the oldest lines that are not settled, and a repetition covers
/// the same lines, unless it must be smaller.
#[derive(Debug)]
pub(crate) struct Session {
    limits: BatchLimits,
    backoff: Backoff,
    /// Lines logged so far.
    logged: u64,
    /// All lines before this one are acked or rejected.
    settled: u64,
    acked: u64,
    rejected: u64,
    /// Bytes of lines that were never sent.
    unsent_bytes: usize,
    /// When the oldest line that was never sent was logged.
    unsent_since: Option<Instant>,
    /// Lines before this one go out without waiting for others.
    urgent_until: u64,
    in_flight: Option<Range<u64>>,
    retry: Option<Retry>,
    /// No append before this.
    not_before: Option<Instant>,
    pace: Duration,
    /// As many lines at once, after the backend found more too many.
    max_lines: usize,
    lone_refusals: u32,
    stopped: Option<StopReason>,
    last_error: Option<String>,
}

/// Lines that were sent without success.
#[derive(Debug)]
struct Retry {
    lines: Range<u64>,
    attempts: u32,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Append lines from number `first` on, at most so many; then tell how many by
    /// [`Session::sent`].
    Append { first: u64, max_lines: usize },
    /// Nothing, until a line is logged or, if a time is given, until then.
    Wait(Option<Instant>),
}

/// Lines that are settled now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Lines refused for good, and why.
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
            max_lines: limits.max_rows.max(1),
            lone_refusals: 0,
            stopped: None,
            last_error: None,
            limits,
        }
    }

    /// Hears that a line of `bytes` bytes was logged, and tells whether [`poll`](Self::poll) would
    /// now answer otherwise than before.
    pub(crate) fn logged(&mut self, now: Instant, bytes: usize) -> bool {
        self.logged += 1;
        let was_full = self.is_batch_full();
        self.unsent_bytes += bytes;
        let is_first = self.unsent_since.is_none();
        self.unsent_since.get_or_insert(now);
        is_first || (self.is_batch_full() && !was_full)
    }

    /// Hears that somebody waits for all lines logged so far.
    pub(crate) fn flush(&mut self) {
        self.urgent_until = self.logged;
    }

    /// Tells what is to be done now.
    pub(crate) fn poll(&self, now: Instant) -> Step {
        if self.stopped.is_some() || self.in_flight.is_some() {
            return Step::Wait(None);
        }
        let first = self.settled;
        let (due, max_lines) = match (&self.retry, self.unsent_since) {
            // A repetition is never longer than what it repeats.
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

    /// Hears that `count` lines of `bytes` bytes went out, as [`poll`](Self::poll) asked.
    pub(crate) fn sent(&mut self, now: Instant, count: u64, bytes: usize) {
        let lines = self.settled..self.settled + count;
        if self.retry.is_none() {
            self.unsent_bytes = self.unsent_bytes.saturating_sub(bytes);
            self.unsent_since = (lines.end < self.logged).then_some(now);
        }
        self.not_before = Some(now + reachable(self.pace));
        self.in_flight = Some(lines);
    }

    /// Hears what became of the append in flight.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        answer: Result<Appended, AppendError>,
    ) -> Settled {
        let Some(lines) = self.in_flight.take() else { return Settled::default() };
        let count = lines.end - lines.start;
        match answer {
            Ok(Appended { end: Some(end), .. }) if end <= lines.start || end > lines.end => {
                let Range { start, end: sent } = lines;
                let message = format!("the answer covers lines up to {end}, not {start} to {sent}");
                self.failed(now, lines, message, None)
            }
            Ok(appended) => {
                let end = appended.end.unwrap_or(lines.end);
                if end < lines.end {
                    self.again(end..lines.end, 0);
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
                self.again(lines, self.attempts());
                Settled::default()
            }
            Err(error @ (AppendError::TooLarge | AppendError::Refused { .. })) => {
                let message = match error {
                    AppendError::Refused { message } => message,
                    too_large => too_large.to_string(),
                };
                if self.lone_refusals >= MAX_LONE_REFUSALS {
                    self.again(lines, self.attempts());
                    self.stop(StopReason::Refused { message });
                    return Settled::default();
                }
                self.lone_refusals += 1;
                let rejected = vec![(lines.start, message)];
                self.settle(lines, Appended { rejected, ..Appended::default() })
            }
            Err(AppendError::Stopped(reason)) => {
                self.again(lines, self.attempts());
                self.stop(reason);
                Settled::default()
            }
        }
    }

    /// Starts again after a stop; without one, what the backend asked to wait still holds.
    pub(crate) fn resume(&mut self) {
        if self.stopped.take().is_some() {
            self.not_before = None;
            self.lone_refusals = 0;
        }
    }

    /// Stops for a reason that lies outside of an append.
    pub(crate) fn stop(&mut self, reason: StopReason) {
        self.last_error = Some(reason.to_string());
        self.stopped = Some(reason);
    }

    pub(crate) fn stop_reason(&self) -> Option<&StopReason> {
        self.stopped.as_ref()
    }

    /// What went wrong since the backend last stored something.
    pub(crate) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Tells whether the next append, or the one in flight, sends lines that were sent before.
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

    /// How often the next append, or the one in flight, was tried without an answer.
    pub(crate) fn attempts(&self) -> u32 {
        self.retry.as_ref().map_or(0, |retry| retry.attempts)
    }

    /// Sends lines again after a while, because no acknowledgement came.
    fn failed(
        &mut self,
        now: Instant,
        lines: Range<u64>,
        message: String,
        retry_after: Option<Duration>,
    ) -> Settled {
        self.last_error = Some(message);
        let attempts = self.attempts() + 1;
        let delay = self.backoff.delay(attempts).max(retry_after.unwrap_or_default());
        self.not_before = self.not_before.max(Some(now + reachable(delay)));
        self.again(lines, attempts);
        Settled::default()
    }

    fn stored(&mut self, now: Instant, lines: Range<u64>, appended: Appended) -> Settled {
        self.last_error = None;
        self.lone_refusals = 0;
        self.max_lines = self.max_lines.saturating_mul(2).min(self.limits.max_rows.max(1));
        self.not_before = self.not_before.max(Some(now + reachable(appended.pause)));
        self.settle(lines, appended)
    }

    /// Repeats lines; those behind them that were part of a longer attempt still count as sent.
    fn again(&mut self, lines: Range<u64>, attempts: u32) {
        let end = self.retry.as_ref().map_or(lines.end, |retry| retry.lines.end.max(lines.end));
        self.retry = Some(Retry { lines: lines.start..end, attempts });
    }

    fn settle(&mut self, lines: Range<u64>, appended: Appended) -> Settled {
        let mut rejected = appended.rejected;
        rejected.retain(|(line, _)| lines.contains(line));
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

/// Shortens what may be no limit at all, so that a clock reaches its end: a century.
pub(crate) fn reachable(duration: Duration) -> Duration {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    duration.min(CENTURY)
}
