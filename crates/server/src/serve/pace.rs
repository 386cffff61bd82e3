//! How slow a peer may be: it has to keep up a rate, except for a while.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long a peer may still keep the server waiting.
///
/// A token bucket: waiting takes time out of it, each byte puts some in, and it never holds more than
/// `max`. So a pause of more than `max` is too long, and so is any lower rate in the long run. Only
/// time in which the server waits for the peer counts.
#[derive(Debug)]
struct Pace {
    left: Duration,
    max: Duration,
    bytes_per_second: u64,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Pace {
    fn new(max: Duration, bytes_per_second: u64) -> Self {
        Self { left: max, max, bytes_per_second: bytes_per_second.max(1), waiting: None }
    }

    /// Records that the peer took or sent bytes.
    fn advance(&mut self, bytes: usize) {
        if let Some((since, _)) = self.waiting.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        let micros = (bytes as u64).saturating_mul(1_000_000) / self.bytes_per_second;
        self.left = self.left.saturating_add(Duration::from_micros(micros)).min(self.max);
    }

    /// Is ready once the peer has been too slow. Polled while the server waits for it.
    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left = self.left;
        let (_, sleep) =
            self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        sleep.as_mut().poll(cx)
    }
}

/// A request's body that must not come too slowly.
#[derive(Debug)]
pub(super) struct PacedBody<B = Incoming> {
    body: B,
    pace: Pace,
}

impl<B> PacedBody<B> {
    pub(super) fn new(body: B, max: Duration, bytes_per_second: u64) -> Self {
        Self { body, pace: Pace::new(max, bytes_per_second) }
    }
}

impl<B> Body for PacedBody<B>
where
    B: Body<Data = Bytes, Error: Into<axum::BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            this.pace.advance(data.map_or(0, Bytes::len));
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        this.pace.poll_too_slow(cx).map(|()| Some(Err("the body came too slowly".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose peer must not read too slowly.
#[derive(Debug)]
pub(super) struct PacedIo<S> {
    stream: S,
    pace: Pace,
}

impl<S> PacedIo<S> {
    pub(super) fn new(stream: S, max: Duration, bytes_per_second: u64) -> Self {
        Self { stream, pace: Pace::new(max, bytes_per_second) }
    }

    fn check<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(done) => {
                self.pace.advance(done.as_ref().map_or(0, bytes));
                Poll::Ready(done)
            }
            Poll::Pending => self.pace.poll_too_slow(cx).map(|()| {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the peer reads too slowly"))
            }),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.check(cx, polled, |written| *written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.check(cx, polled, |written| *written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.check(cx, polled, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.check(cx, polled, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::{BodyExt, StreamBody};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const MAX: Duration = Duration::from_secs(30);

    /// Returns how many pieces of a body came before it was too slow; `None` if all did.
    async fn pieces(count: usize, bytes: usize, seconds: u64) -> Option<usize> {
        let pieces = stream::unfold(0, move |n| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            let piece = Frame::data(Bytes::from(vec![0; bytes]));
            (n < count).then_some((Ok::<_, io::Error>(piece), n + 1))
        });
        let mut body = PacedBody::new(StreamBody::new(Box::pin(pieces)), MAX, 1024);
        let mut taken = 0;
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                return Some(taken);
            }
            taken += 1;
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_keep_up_the_rate() {
        assert_eq!(pieces(1000, 1024, 1).await, None);
        assert_eq!(pieces(100, 29 << 10, 29).await, None);
        assert_eq!(pieces(29, 1, 1).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_do_not() {
        // A pause of more than 30 s, however fast it was before.
        assert_eq!(pieces(3, 1 << 20, 31).await, Some(0));
        // A byte each second: 30 s are left, and a byte is worth a thousandth.
        assert_eq!(pieces(1000, 1, 1).await, Some(30));
        // Half of the rate: a second of two counts.
        assert_eq!(pieces(1000, 1024, 2).await, Some(29));
    }

    #[tokio::test(start_paused = true)]
    async fn readers_that_keep_up_the_rate_and_that_do_not() {
        let answer = vec![0; 100 << 10];
        for (bytes, is_served) in [(2048, true), (1, false), (0, false)] {
            let (near, mut far) = duplex(1024);
            let mut near = PacedIo::new(near, MAX, 1024);
            let read = async {
                let mut piece = vec![0; bytes];
                loop {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    if bytes > 0 && far.read(&mut piece).await.is_err() {
                        return;
                    }
                }
            };
            let written = tokio::select! {
                written = near.write_all(&answer) => written,
                () = read => unreachable!(),
            };
            assert_eq!(written.is_ok(), is_served, "{bytes}: {written:?}");
        }
    }
}
