//! The bounds on the execution of a document.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_graphql::async_trait::async_trait;
use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextResolve, ResolveInfo,
};
use async_graphql::{Error, ServerResult, Value};
use streamtable_server_core::{ApiError, Bodies};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::RequestContext;

/// Maximum size of the rows in one response, in bytes.
const MAX_BYTES: usize = 256 << 20;

/// The execution of one document: until when it may take, and for whom.
///
/// A timeout alone does not end a document, since a field whose work never waits is not
/// interrupted. So each field [checks](Self::check) before its work, and loops
/// [pause](Self::pause).
#[derive(Debug)]
pub(crate) struct Execution {
    max_time: Duration,
    until: Instant,
    /// Cancelled when the caller is gone.
    caller: CancellationToken,
    bodies: Bodies,
    /// Number of bytes of rows that the response may still grow by.
    bytes_left: AtomicUsize,
    /// Held by the field that reads rows.
    turn: Mutex<()>,
}

impl Execution {
    pub(super) fn new(max_time: Duration, caller: CancellationToken, bodies: Bodies) -> Self {
        Self {
            max_time,
            until: Instant::now() + max_time,
            caller,
            bodies,
            bytes_left: AtomicUsize::new(MAX_BYTES),
            turn: Mutex::default(),
        }
    }

    /// Runs the execution until it ends, its time is over or its caller is gone.
    pub(super) async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, ApiError> {
        match self.caller.run_until_cancelled(timeout_at(self.until, work)).await {
            Some(Ok(done)) => Ok(done),
            Some(Err(_)) => Err(self.too_long()),
            None => Err(gone()),
        }
    }

    /// Fails if the time is over or the caller is gone.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        if self.caller.is_cancelled() {
            return Err(gone());
        }
        if Instant::now() >= self.until {
            return Err(self.too_long());
        }
        Ok(())
    }

    /// Lets other tasks run. Fails as [`check`](Self::check) does, and above the memory limit of the
    /// process. Called by each loop that reads rows.
    pub(super) async fn pause(&self) -> Result<(), ApiError> {
        tokio::task::yield_now().await;
        self.bodies.check_memory()?;
        self.check()
    }

    /// Waits until no other field of the document reads rows: together, they could keep as many
    /// rows in memory as there are fields.
    pub(super) async fn turn(&self) -> Result<MutexGuard<'_, ()>, ApiError> {
        let turn = self.turn.lock().await;
        self.check()?;
        Ok(turn)
    }

    /// Counts bytes of the response. Fails if it would be too large.
    pub(super) fn spend(&self, bytes: usize) -> Result<(), ApiError> {
        let spent = self
            .bytes_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        spent.map(drop).map_err(|_| {
            ApiError::bad_request("the response would be too large: request fewer rows")
        })
    }

    fn too_long(&self) -> ApiError {
        let message = format!("the request took longer than {:?}", self.max_time);
        ApiError::busy(message, Duration::from_secs(5))
    }
}

fn gone() -> ApiError {
    ApiError::busy("the caller is gone", Duration::from_secs(1))
}

/// Checks the [`Execution`] before each field.
pub(super) struct Guard;

impl ExtensionFactory for Guard {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Extension for Guard {
    async fn resolve(
        &self,
        ctx: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
        let request: &RequestContext = ctx.data_unchecked();
        if let Err(error) = request.execution.check() {
            return Err(Error::from(error).into_server_error(info.field.name.pos));
        }
        next.run(ctx, info).await
    }
}

#[cfg(test)]
mod tests {
    use streamtable_store::MemoryCeiling;

    use super::*;

    fn execution(max_time: Duration, caller: &CancellationToken) -> Execution {
        let bodies = Bodies::new(1 << 20, Duration::ZERO, Arc::new(MemoryCeiling::new(None)));
        Execution::new(max_time, caller.clone(), bodies)
    }

    /// Work that never waits, as reads of rows in memory are.
    async fn endless(execution: &Execution) -> ApiError {
        loop {
            if let Err(error) = execution.check() {
                return error;
            }
        }
    }

    #[tokio::test]
    async fn work_that_never_waits_ends_with_its_time_and_its_caller() {
        let caller = CancellationToken::new();
        let short = execution(Duration::from_millis(20), &caller);
        assert!(endless(&short).await.message().contains("longer than 20ms"));
        assert!(short.turn().await.is_err());
        let long = execution(Duration::from_secs(600), &caller);
        assert!(long.check().is_ok() && long.pause().await.is_ok());
        let gone = caller.clone();
        std::thread::spawn(move || gone.cancel());
        assert!(endless(&long).await.message().contains("gone"));
        let waiting = long.run(std::future::pending::<()>()).await;
        assert!(waiting.unwrap_err().message().contains("gone"));
    }

    #[test]
    fn the_size_of_all_fields_counts() {
        let execution = execution(Duration::from_secs(1), &CancellationToken::new());
        assert!(execution.spend(MAX_BYTES - 1).is_ok());
        assert!(execution.spend(2).is_err());
        assert!(execution.spend(1).is_ok());
    }
}
