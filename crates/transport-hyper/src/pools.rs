use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::runtime::{Handle, Id};

use crate::connect::Connector;

pub(crate) type Client = legacy::Client<Connector, Full<Bytes>>;

/// The connection pools, one per runtime.
///
/// A connection is driven by a task of the runtime that opened it. A request from another runtime
/// must not wait for that task: its runtime may be blocked, idle or stopped.
#[derive(Debug)]
pub(crate) struct Pools {
    connector: Connector,
    idle_timeout: Duration,
    by_runtime: Mutex<Vec<(Id, Client)>>,
}

/// If this is exceeded, the pool of the oldest runtime is dropped with its idle connections.
const MAX_RUNTIMES: usize = 8;

/// Interval of HTTP/2 pings while requests wait. Without them, each request on a silently dropped
/// connection would wait for its timeout.
#[cfg(feature = "http2")]
const PING_AFTER: Duration = Duration::from_secs(10);

impl Pools {
    pub(crate) fn new(connector: Connector, idle_timeout: Duration) -> Self {
        Self { connector, idle_timeout, by_runtime: Mutex::default() }
    }

    /// Returns the client for the current runtime, or `None` outside a runtime.
    pub(crate) fn client(&self) -> Option<Client> {
        let here = Handle::try_current().ok()?.id();
        let mut pools = self.by_runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = pools.iter().find(|(id, _)| *id == here) {
            return Some(client.clone());
        }
        if pools.len() == MAX_RUNTIMES {
            pools.remove(0);
        }
        let client = self.build();
        pools.push((here, client.clone()));
        Some(client)
    }

    fn build(&self) -> Client {
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        #[cfg(feature = "http2")]
        builder.http2_keep_alive_interval(PING_AFTER).http2_keep_alive_timeout(PING_AFTER);
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(self.idle_timeout)
            // Retries on another connection only if hyper returns the request unsent.
            .retry_canceled_requests(true)
            .build(self.connector.clone())
    }
}
