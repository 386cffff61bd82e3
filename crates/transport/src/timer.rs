use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

/// Waits, so that a decorator needs to know no runtime, and a test no real time.
#[async_trait]
pub trait Timer: fmt::Debug + Send + Sync {
    /// Completes once `duration` has passed since it was first polled, never earlier.
    async fn sleep(&self, duration: Duration);
}

#[async_trait]
impl<T: Timer + ?Sized> Timer for Arc<T> {
    async fn sleep(&self, duration: Duration) {
        (**self).sleep(duration).await;
    }
}
