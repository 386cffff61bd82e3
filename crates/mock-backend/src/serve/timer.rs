use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use async_trait::async_trait;
use streamtable_transport::Timer;

/// Waits in real time by blocking the thread, for a served mock, whose connections have their own
/// threads. Not for async runtimes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SleepTimer;

#[async_trait]
impl Timer for SleepTimer {
    async fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }
}

/// Runs a future on this thread.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
