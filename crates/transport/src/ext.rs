use std::time::Duration;

use http::HeaderMap;

use crate::{AnyTransport, ApiKey, BasicAuth, Headers, Origin, Timeout, Timer, Traced, Transport};

/// Wraps a transport. Each wrapper is a [`Transport`] again; the wrapper added last sees a request
/// first.
///
/// ```
/// use std::time::Duration;
/// use http::HeaderMap;
/// use http::header::{HeaderValue, USER_AGENT};
/// use streamtable_transport::{AnyTransport, ApiKey, Timer, Transport, TransportExt};
///
/// fn decorate(
///     transport: impl Transport + 'static,
///     timer: impl Timer + 'static,
///     key: &ApiKey,
/// ) -> Result<AnyTransport, Box<dyn std::error::Error>> {
///     let mut headers = HeaderMap::new();
///     headers.insert(USER_AGENT, HeaderValue::from_static("log-rows/1.0"));
///     Ok(transport
///         .with_timeout(Duration::from_secs(20), timer)
///         .with_headers(headers)
///         .with_auth("https://api.example".parse()?, key)
///         .traced()
///         .erased())
/// }
/// ```
pub trait TransportExt: Transport + Sized {
    /// Fails with [`TransportError::Timeout`](crate::TransportError::Timeout) after `limit`, or
    /// earlier if the request has a lower [`AttemptTimeout`](crate::AttemptTimeout).
    fn with_timeout(self, limit: Duration, timer: impl Timer + 'static) -> Timeout<Self> {
        Timeout::new(self, limit, timer)
    }

    /// Adds `headers` to every request; headers that the request already has are kept.
    fn with_headers(self, headers: HeaderMap) -> Headers<Self> {
        Headers::new(self, headers)
    }

    /// Adds `key` to requests to `origin`, and to no others.
    fn with_auth(self, origin: Origin, key: &ApiKey) -> BasicAuth<Self> {
        BasicAuth::new(self, origin, key)
    }

    /// Reports every request to `tracing`, at debug level.
    fn traced(self) -> Traced<Self> {
        Traced::new(self)
    }

    /// Hides the transport's type behind a handle that is cheap to clone.
    fn erased(self) -> AnyTransport
    where
        Self: 'static,
    {
        AnyTransport::new(self)
    }
}

impl<T: Transport> TransportExt for T {}
