//! The phase of a connection: idle, receiving a head, or serving a request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::connection_permits::ConnectionPermit;

/// The phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No byte of the next request has arrived.
    Idle,
    /// The first bytes of a request's head have arrived.
    Head,
    /// A request is being read or answered.
    Request,
}

/// The current phase of a connection, and when it began.
#[derive(Debug)]
pub(super) struct Activity {
    phase: watch::Sender<(Phase, Instant)>,
    /// Notified when the last running request ends.
    freed: Arc<Notify>,
}

impl Activity {
    pub(super) fn new(freed: Arc<Notify>) -> Self {
        Self { phase: watch::Sender::new((Phase::Idle, Instant::now())), freed }
    }

    /// Records that the connection waits for its next request.
    pub(super) fn begin_idle(&self) {
        self.phase.send_replace((Phase::Idle, Instant::now()));
        self.freed.notify_one();
    }

    /// Records that bytes arrived.
    fn received(&self) {
        self.phase.send_if_modified(|(phase, since)| {
            let is_first = *phase == Phase::Idle;
            if is_first {
                (*phase, *since) = (Phase::Head, Instant::now());
            }
            is_first
        });
    }

    /// Records that a request is running, until the returned guard is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> UnderWay {
        self.phase.send_replace((Phase::Request, Instant::now()));
        UnderWay { activity: Arc::clone(self), ends: true }
    }

    /// Returns whether a request is running.
    pub(super) fn is_under_way(&self) -> bool {
        self.phase.borrow().0 == Phase::Request
    }

    /// Returns when the last request ended; `None` if one is running.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        let (phase, since) = *self.phase.borrow();
        (phase != Phase::Request).then_some(since)
    }

    /// Waits until a head has been incomplete for `head`, or the connection has been idle for
    /// `idle`.
    pub(super) async fn overdue(&self, head: Duration, idle: Duration) {
        let mut phase = self.phase.subscribe();
        loop {
            let (now, since) = *phase.borrow_and_update();
            let patience = match now {
                Phase::Idle => idle,
                Phase::Head => head,
                Phase::Request => Duration::MAX,
            };
            let late = async {
                match since.checked_add(patience) {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = late => return,
                // The sender is `self`, so this cannot fail.
                _ = phase.changed() => {}
            }
        }
    }
}

/// A guard for a running request.
#[derive(Debug)]
pub(super) struct UnderWay {
    activity: Arc<Activity>,
    ends: bool,
}

impl UnderWay {
    /// Makes the connection count as busy forever, since it now speaks another protocol.
    pub(super) fn never_ends(&mut self) {
        self.ends = false;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.ends {
            self.activity.begin_idle();
        }
    }
}

/// A stream that records when bytes arrive, and that holds its connection's permit.
#[derive(Debug)]
pub(super) struct WatchedIo<S> {
    stream: S,
    permit: ConnectionPermit,
}

impl<S> WatchedIo<S> {
    pub(super) fn new(stream: S, permit: ConnectionPermit) -> Self {
        Self { stream, permit }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.permit.activity().received();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WatchedIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);

    /// Returns the number of seconds after which a connection is overdue.
    async fn overdue(activity: &Activity) -> u64 {
        let start = Instant::now();
        activity.overdue(HEAD, IDLE).await;
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_less_time_than_an_idle_connection() {
        let activity = Arc::new(Activity::new(Arc::default()));
        assert_eq!(overdue(&activity).await, 75);

        activity.begin_idle();
        tokio::time::advance(Duration::from_secs(70)).await;
        activity.received();
        let drip = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                activity.received();
            }
        };
        // One byte per second does not extend the deadline.
        let seconds = tokio::select! {
            seconds = overdue(&activity) => seconds,
            () = drip => unreachable!(),
        };
        assert_eq!(seconds, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_may_take_any_time() {
        let activity = Arc::new(Activity::new(Arc::default()));
        activity.received();
        let request = activity.begin_request();
        assert!(activity.is_under_way() && activity.waiting_since().is_none());
        let hours = async {
            tokio::time::sleep(Duration::from_secs(100_000)).await;
            drop(request);
            std::future::pending::<()>().await;
        };
        let seconds = tokio::select! {
            seconds = overdue(&activity) => seconds,
            () = hours => unreachable!(),
        };
        assert_eq!(seconds, 100_075);
        assert!(!activity.is_under_way());

        let mut request = activity.begin_request();
        request.never_ends();
        drop(request);
        assert!(activity.is_under_way());
    }
}
