//! Turns: work on threads that may block, of which only so many take part at once.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ApiError;

/// Does work on a thread that may block, when it is its turn: until then it takes none. The turn
/// lasts as long as the work, whether or not somebody still waits for it.
///
/// An error says that the work has panicked, or that the runtime is ending.
pub(crate) async fn in_turn<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let turn = Arc::clone(turns).acquire_owned().await.map_err(io::Error::other)?;
    work_in(turn, work).await
}

/// Works as [`in_turn`] does, if its turn comes within `max_wait`; else it is refused for a while.
pub(crate) async fn in_turn_soon<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    max_wait: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let turn = tokio::time::timeout(max_wait, Arc::clone(turns).acquire_owned()).await;
    let Ok(Ok(turn)) = turn else {
        return Err(ApiError::busy("the server has too much to do", max_wait));
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
