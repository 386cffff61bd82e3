use std::time::Duration;

use async_trait::async_trait;
use streamtable_transport::Timer;

/// A timer that uses the clock of the tokio runtime that polls it.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioTimer;

#[async_trait]
impl Timer for TokioTimer {
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
