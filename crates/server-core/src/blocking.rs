//! Work on the blocking pool with a limited number of permits.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use streamtable_store::OwnerPermits;
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

/// Permits for work on the blocking pool that all callers share, and of which each may have only
/// some.
#[derive(Debug)]
pub struct SharedPermits {
    all: Arc<Semaphore>,
    of_callers: OwnerPermits,
}

impl SharedPermits {
    /// Creates `all` permits, of which one caller may have `per_caller`.
    pub fn new(all: usize, per_caller: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), of_callers: OwnerPermits::new(per_caller) }
    }

    /// Same as [`run_with_permit`], but returns a retryable error if there is no permit for the
    /// caller within `max_wait`.
    pub async fn run_within<T: Send + 'static>(
        &self,
        caller: &str,
        max_wait: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let Ok(Some(permits)) = tokio::time::timeout(max_wait, self.acquire(caller)).await else {
            return Err(ApiError::busy("the server is overloaded", max_wait));
        };
        run_holding(permits, work).await.map_err(|error| {
            tracing::error!(%error, "a request's work failed");
            ApiError::new(http::StatusCode::INTERNAL_SERVER_ERROR, "the server failed")
        })
    }

    /// Waits for a permit of the caller first, so that its other work takes no place of others.
    async fn acquire(&self, caller: &str) -> Option<[OwnedSemaphorePermit; 2]> {
        let own = self.of_callers.of(caller).acquire_owned().await.ok()?;
        let shared = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some([own, shared])
    }
}

async fn run_holding<P: Send + 'static, T: Send + 'static>(
    permit: P,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(permit);
        result
    });
    done.await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use parking_lot::Mutex;

    use super::*;

    #[tokio::test]
    async fn one_caller_cannot_take_all_permits() {
        let permits = Arc::new(SharedPermits::new(4, 2));
        let (release, held) = channel();
        let held = Arc::new(Mutex::new(held));
        let run = |caller: &'static str, held: Option<Arc<Mutex<Receiver<()>>>>| {
            let permits = Arc::clone(&permits);
            let wait = Duration::from_millis(50);
            async move {
                let work = move || held.is_none_or(|held| held.lock().recv().is_ok());
                permits.run_within(caller, wait, work).await
            }
        };
        let long = [(); 2].map(|()| tokio::spawn(run("a", Some(Arc::clone(&held)))));
        tokio::time::sleep(Duration::from_millis(20)).await;
        let refused = run("a", None).await.unwrap_err();
        assert_eq!(refused.status(), http::StatusCode::SERVICE_UNAVAILABLE);
        assert!(run("b", None).await.unwrap());
        for task in long {
            release.send(()).unwrap();
            assert!(task.await.unwrap().unwrap());
        }
        assert!(run("a", None).await.unwrap());
        assert_eq!(permits.of_callers.owners(), 1, "callers that are done are kept");
    }
}
