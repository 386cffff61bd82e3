use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

/// A clock to wait by, so that decorators need no runtime and tests need no real time.
#[async_trait]
pub trait Timer: fmt::Debug + Send + Sync {
    /// Completes once `duration` has passed since the first poll, never earlier.
    async fn sleep(&self, duration: Duration);
}

#[async_trait]
impl<T: Timer + ?Sized> Timer for Arc<T> {
    async fn sleep(&self, duration: Duration) {
        (**self).sleep(duration).await;
    }
}
