use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::runtime::{Handle, Id};

use crate::connect::Connector;

pub(crate) type Client = legacy::Client<Connector, Full<Bytes>>;

/// The open connections, apart by runtime.
///
/// A connection is driven by a task of the runtime that opened it. A request from another runtime
/// must not wait on it: that one may be blocked, idle or gone.
#[derive(Debug)]
pub(crate) struct Pools {
    connector: Connector,
    idle_timeout: Duration,
    by_runtime: Mutex<Vec<(Id, Client)>>,
}

/// Beyond it, the runtime that came first is forgotten with its idle connections.
const MAX_RUNTIMES: usize = 8;

/// A request that waits longer for its first byte makes HTTP/2 ask whether the other end is there.
/// Otherwise a connection that died silently would swallow one request after the other.
const PING_AFTER: Duration = Duration::from_secs(10);

impl Pools {
    pub(crate) fn new(connector: Connector, idle_timeout: Duration) -> Self {
        Self { connector, idle_timeout, by_runtime: Mutex::default() }
    }

    /// The client for this runtime, or `None` outside of any.
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
        legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(self.idle_timeout)
            .http2_keep_alive_interval(PING_AFTER)
            .http2_keep_alive_timeout(PING_AFTER)
            // Another connection is tried only if hyper hands the request back unsent.
            .retry_canceled_requests(true)
            .build(self.connector.clone())
    }
}
