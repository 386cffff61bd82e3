//! Work on the blocking pool with a limited number of permits.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ApiError;

/// Runs `work` on the blocking pool while holding a permit. Waiting for the permit uses no thread.
/// The permit is held until `work` returns, even if the caller is dropped.
///
/// Fails if `work` panics or the runtime shuts down.
pub async fn run_with_permit<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    run_holding(permit, work).await
}

/// Same as [`run_with_permit`], but returns a retryable error if no permit is free within `max_wait`.
pub async fn run_with_permit_within<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    max_wait: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let permit = tokio::time::timeout(max_wait, Arc::clone(permits).acquire_owned()).await;
    let Ok(Ok(permit)) = permit else {
        return Err(ApiError::busy("the server is overloaded", max_wait));
    };
    run_holding(permit, work).await.map_err(|error| {
        tracing::error!(%error, "a request's work failed");
        ApiError::new(http::StatusCode::INTERNAL_SERVER_ERROR, "the server failed")
    })
}

async fn run_holding<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(permit);
        result
    });
    done.await.map_err(io::Error::other)
}
