//! The task that delivers: it does what the session says, and nothing of its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep_until, timeout};

use crate::shared::{Shared, now, say};
use crate::{AppendError, Appended, Backend, Lines};

type Answer = Result<Appended, AppendError>;
type InFlight<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// How long telling the backend that a writer has finished may take in all.
const FINISH_TIMEOUT: Duration = Duration::from_secs(10);

/// Delivers a table's rows until it is finished, or given up.
pub(crate) fn drive(shared: Arc<Shared>, backend: Arc<dyn Backend>) -> impl Future<Output = ()> {
    // Made here, because a task may be dropped before it ever runs.
    let gone = Gone(shared);
    async move { deliver(&gone.0, backend).await }
}

async fn deliver(shared: &Shared, backend: Arc<dyn Backend>) {
    let mut append: Option<InFlight<(Lines, Answer)>> = None;
    let mut upload: Option<InFlight<Answer>> = None;
    loop {
        let mut due: Option<Instant> = None;
        if append.is_none() {
            match shared.next_append() {
                Ok(next) => {
                    let (backend, lines) = (Arc::clone(&backend), next.lines.clone());
                    append = Some(Box::pin(async move {
                        let limit = next.timeout;
                        (lines, within(limit, backend.append(next)).await)
                    }));
                }
                Err(until) => due = earlier(due, until),
            }
        }
        if upload.is_none() {
            match shared.next_upload() {
                Ok(next) => {
                    let backend = Arc::clone(&backend);
                    upload = Some(Box::pin(async move {
                        let limit = next.timeout;
                        within(limit, backend.upload(next)).await
                    }));
                }
                Err(until) => due = earlier(due, until),
            }
        }
        match end(shared) {
            End::NotYet(give_up_at) => due = earlier(due, give_up_at),
            End::Settled => {
                close(shared, &*backend).await;
                break;
            }
            End::GivenUp => break,
        }
        tokio::select! {
            (lines, answer) = in_flight(&mut append) => {
                append = None;
                shared.appended(&lines, answer);
            }
            answer = in_flight(&mut upload) => {
                upload = None;
                shared.uploaded(answer);
            }
            () = at(due) => {}
            () = shared.wake.notified() => {}
        }
    }
}

enum End {
    NotYet(Option<Instant>),
    Settled,
    GivenUp,
}

fn end(shared: &Shared) -> End {
    let core = shared.core();
    let give_up_at = core.abandoned_at;
    if core.is_finished && core.stats().is_settled() {
        End::Settled
    } else if give_up_at.is_some_and(|at| at <= now() || core.stuck_reason().is_some()) {
        End::GivenUp
    } else {
        End::NotYet(give_up_at)
    }
}

/// Tells the backend that the writer has finished. All rows are stored by now, so that it does not
/// hear it is worth a line in the log and no more.
async fn close(shared: &Shared, backend: &dyn Backend) {
    let mut delay = Duration::from_millis(100);
    let attempts = async {
        loop {
            match backend.finish(&shared.table).await {
                Err(AppendError::Transient { retry_after, .. }) => {
                    tokio::time::sleep(delay.max(retry_after.unwrap_or_default())).await;
                    delay *= 2;
                }
                other => return other,
            }
        }
    };
    let result = within(FINISH_TIMEOUT, attempts).await;
    if let Err(error) = result {
        tracing::warn!(table = %shared.table, %error, "the server did not hear of the finish");
    }
    shared.core().is_closed = true;
    shared.progress.notify_waiters();
}

/// Cuts off what takes too long.
async fn within<T>(
    limit: Duration,
    attempt: impl Future<Output = Result<T, AppendError>>,
) -> Result<T, AppendError> {
    let too_long = |_| AppendError::Transient {
        message: format!("no answer within {limit:?}"),
        retry_after: None,
    };
    timeout(limit, attempt).await.map_err(too_long)?
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

async fn in_flight<T>(future: &mut Option<InFlight<T>>) -> T {
    match future {
        Some(future) => future.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Says, when the task ends or is dropped with its runtime, that nobody delivers any more.
struct Gone(Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        let mut core = self.0.core();
        core.is_driver_gone = true;
        let (stats, error) = (core.stats(), core.last_error());
        drop(core);
        self.0.progress.notify_waiters();
        if !stats.is_settled() {
            let error = error.unwrap_or_else(|| "there was no time left".to_owned());
            let table = &self.0.table;
            tracing::error!(%table, %stats, %error, "rows are left behind");
            if !tracing::dispatcher::has_been_set() {
                // Rows are lost, and nobody else listens.
                say(format_args!(
                    "streamtable: rows of {table} are left behind: {stats} ({error})"
                ));
            }
        }
    }
}
