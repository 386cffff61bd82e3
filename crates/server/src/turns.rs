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
pub(crate) async fn in_turn<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let turn = Arc::clone(turns).acquire_owned().await.map_err(io::Error::other)?;
    work_in(turn, work).await
}

/// Same as [`in_turn`], but returns a retryable error if no permit is free within `max_wait`.
pub(crate) async fn in_turn_soon<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    max_wait: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let turn = tokio::time::timeout(max_wait, Arc::clone(turns).acquire_owned()).await;
    let Ok(Ok(turn)) = turn else {
        return Err(ApiError::busy("the server is overloaded", max_wait));
    };
    work_in(turn, work).await.map_err(|error| {
        tracing::error!(%error, "a request's work failed");
        ApiError::new(http::StatusCode::INTERNAL_SERVER_ERROR, "the server failed")
    })
}

async fn work_in<T: Send + 'static>(
    turn: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(turn);
        result
    });
    done.await.map_err(io::Error::other)
}
