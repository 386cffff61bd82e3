//! Reading for programs without an async runtime.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use futures_util::{FutureExt, TryStream, TryStreamExt};
use streamtable_transport::TransportError;
use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::ReadError;
use super::server::Server;
use crate::blocking::{Wait, wait_for};

/// Maximum number of items that are received in advance.
const MOST_IN_ADVANCE: usize = 1000;

/// An iterator over the rows or batches of a stream; made by
/// [`Query::rows_blocking`](super::Query::rows_blocking) and the like.
///
/// A thread with its own runtime receives them; the readers that were cloned from one share it. It
/// may be used on plain threads and inside any runtime, which is not used.
///
/// ```no_run
/// use std::time::Duration;
///
/// use serde::Deserialize;
/// use streamtable::read::Reader;
///
/// #[derive(Debug, Deserialize)]
/// struct Request {
///     path: String,
///     user: Option<u64>,
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let reader = Reader::from_env()?;
///     for request in reader.scan("me/shop/requests").rows_blocking::<Request>()? {
///         println!("{:?}", request?);
///     }
///
///     let mut tail = reader.tail("me/shop/requests").rows_blocking::<Request>()?;
///     // Waits for new rows for a minute, and not for ever.
///     while tail.is_ready_within(Duration::from_secs(60)) {
///         let Some(request) = tail.next() else { break };
///         println!("{:?}", request?);
///     }
///     Ok(())
/// }
/// ```
#[must_use = "items are received as they are taken"]
pub struct Items<S: TryStream> {
    thread: Arc<Thread>,
    /// `None` after its end.
    stream: Option<S>,
    found: VecDeque<Result<S::Ok, S::Error>>,
}

impl<S> Items<S>
where
    S: TryStream<Ok: Send, Error = ReadError> + Send + Unpin + 'static,
{
    pub(super) fn open(
        server: Server,
        stream: impl Future<Output = Result<S, ReadError>> + Send + 'static,
    ) -> Result<Self, ReadError> {
        let thread = server.thread.get()?;
        let stream = thread.wait(stream)??;
        Ok(Self { thread, stream: Some(stream), found: VecDeque::new() })
    }

    /// Waits for the next item, at most `limit`, and returns whether [`next`](Iterator::next) will
    /// return without waiting.
    pub fn is_ready_within(&mut self, limit: Duration) -> bool {
        if self.found.is_empty() && self.stream.is_some() {
            self.receive(Some(limit));
        }
        !self.found.is_empty() || self.stream.is_none()
    }

    /// Waits for an item or the end, and takes the items that have arrived with it.
    fn receive(&mut self, limit: Option<Duration>) {
        let Some(mut stream) = self.stream.take() else { return };
        let received = self.thread.wait(async move {
            let mut found = VecDeque::new();
            let first = match limit {
                None => stream.try_next().await,
                Some(limit) => match timeout(limit, stream.try_next()).await {
                    Ok(first) => first,
                    Err(_) => return (Some(stream), found),
                },
            };
            let mut next = first.transpose();
            while let Some(item) = next {
                found.push_back(item);
                if found.len() == MOST_IN_ADVANCE {
                    return (Some(stream), found);
                }
                next = match stream.try_next().now_or_never() {
                    Some(item) => item.transpose(),
                    None => return (Some(stream), found),
                };
            }
            (None, found)
        });
        match received {
            Ok(received) => (self.stream, self.found) = received,
            Err(error) => self.found.push_back(Err(error)),
        }
    }
}

impl<S> Iterator for Items<S>
where
    S: TryStream<Ok: Send, Error = ReadError> + Send + Unpin + 'static,
{
    type Item = Result<S::Ok, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.found.is_empty() {
            self.receive(None);
        }
        self.found.pop_front()
    }
}

impl<S: TryStream> fmt::Debug for Items<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("found", &self.found.len()).finish_non_exhaustive()
    }
}

/// The thread of a reader and its clones, once it is needed.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedThread {
    thread: Arc<Mutex<Option<Arc<Thread>>>>,
}

impl SharedThread {
    fn get(&self) -> Result<Arc<Thread>, ReadError> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = &*thread {
            return Ok(Arc::clone(thread));
        }
        let started = Thread::start().map_err(|error| failed(error.to_string()))?;
        Ok(Arc::clone(thread.insert(Arc::new(started))))
    }
}

/// A thread with a runtime. It ends when this is dropped.
#[derive(Debug)]
struct Thread {
    runtime: Handle,
    _alive: oneshot::Sender<Infallible>,
}

impl Thread {
    fn start() -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel();
        let run = move || {
            let _ = runtime.block_on(ended);
            // Do not wait for a blocked DNS lookup.
            runtime.shutdown_background();
        };
        thread::Builder::new().name("streamtable-read".to_owned()).spawn(run)?;
        Ok(Self { runtime: handle, _alive: alive })
    }

    fn wait<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ReadError> {
        match wait_for(&self.runtime, future, &mut || true) {
            Wait::Done(result) => Ok(result),
            Wait::Gone | Wait::BrokenOff => Err(failed("the type of the rows panicked".to_owned())),
        }
    }
}

fn failed(reason: String) -> ReadError {
    TransportError::InvalidRequest { reason }.into()
}
