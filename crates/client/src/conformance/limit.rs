//! A time limit that needs no timer of a runtime.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;

/// Runs a future, and returns `None` if it is not done after `limit`.
pub(super) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let start = Instant::now();
    let waker = Arc::new(AtomicWaker::new());
    // The thread ends when the future is done or dropped.
    let (_running, ended) = mpsc::channel::<Infallible>();
    let to_wake = Arc::clone(&waker);
    thread::spawn(move || {
        let _ = ended.recv_timeout(limit);
        to_wake.wake();
    });
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        waker.register(context.waker());
        match future.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if start.elapsed() >= limit => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
