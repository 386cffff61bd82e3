//! Delivery: a source of rows or files decides what to send, and receives the backend's answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep_until, timeout};

use crate::{Append, AppendError, Appended, Backend, Upload};

pub(crate) type Answer = Result<Appended, AppendError>;
pub(crate) type InFlight<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A request to a backend.
#[derive(Debug)]
pub(crate) enum Request {
    Append(Append),
    Upload(Upload),
}

impl Request {
    /// Sends the request, and waits for the answer as long as the request allows.
    async fn send(self, backend: Arc<dyn Backend>) -> Answer {
        match self {
            Self::Append(append) => within(append.timeout, backend.append(append)).await,
            Self::Upload(upload) => within(upload.timeout, backend.upload(upload)).await,
        }
    }
}

/// Rows or files that wait for a backend, and the state machine that decides when to send them.
pub(crate) trait Source {
    /// The part of a request that the source needs when the answer arrives.
    type Sent: Send + 'static;

    /// Returns the request to send now, or when to call again: `None` if no request follows unless
    /// the source changes.
    fn next(&mut self) -> Result<(Request, Self::Sent), Option<Instant>>;

    /// Called with the answer to a request.
    fn answered(&mut self, sent: Self::Sent, answer: Answer);
}

/// The delivery of one source. At most one request is in flight.
pub(crate) struct Lane<S: Source> {
    pub(crate) source: S,
    backend: Arc<dyn Backend>,
    in_flight: Option<InFlight<(S::Sent, Answer)>>,
}

impl<S: Source> Lane<S> {
    pub(crate) fn new(source: S, backend: &Arc<dyn Backend>) -> Self {
        Self { source, backend: Arc::clone(backend), in_flight: None }
    }

    /// Sends the source's next request, unless one is in flight. Returns when to call again.
    pub(crate) fn start(&mut self) -> Option<Instant> {
        if self.in_flight.is_some() {
            return None;
        }
        match self.source.next() {
            Ok((request, sent)) => {
                let backend = Arc::clone(&self.backend);
                self.in_flight = Some(Box::pin(async { (sent, request.send(backend).await) }));
                None
            }
            Err(until) => until,
        }
    }

    /// Waits for the answer to the request in flight, forever if there is none. Dropping the future
    /// does not drop the request.
    pub(crate) async fn settle(&mut self) {
        let (sent, answer) = in_flight(&mut self.in_flight).await;
        self.in_flight = None;
        self.source.answered(sent, answer);
    }

    /// Delivers until no request follows unless the source changes.
    pub(crate) async fn run(&mut self) {
        loop {
            let due = self.start();
            if due.is_none() && self.in_flight.is_none() {
                return;
            }
            tokio::select! {
                biased;
                () = at(due) => {}
                () = self.settle() => {}
            }
        }
    }
}

/// Applies a time limit to an attempt.
pub(crate) async fn within<T>(
    limit: Duration,
    attempt: impl Future<Output = Result<T, AppendError>>,
) -> Result<T, AppendError> {
    let too_long = |_| AppendError::Transient {
        message: format!("no response within {limit:?}"),
        retry_after: None,
    };
    timeout(limit, attempt).await.map_err(too_long)?
}

/// Waits until a time, forever if there is none.
pub(crate) async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// Waits for a future, forever if there is none.
pub(crate) async fn in_flight<T>(future: &mut Option<InFlight<T>>) -> T {
    match future {
        Some(future) => future.as_mut().await,
        None => std::future::pending().await,
    }
}
