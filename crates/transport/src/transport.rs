use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};

use crate::body::Whole;
use crate::{Body, TransportError};

/// Sends one HTTP request and returns the complete response.
///
/// It may be called concurrently from any number of tasks.
///
/// A transport that counts the requests of another one:
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use async_trait::async_trait;
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use streamtable_transport::{Transport, TransportError};
///
/// #[derive(Debug)]
/// struct Counting<T> {
///     inner: T,
///     requests: AtomicU64,
/// }
///
/// #[async_trait]
/// impl<T: Transport> Transport for Counting<T> {
///     async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
///         self.requests.fetch_add(1, Ordering::Relaxed);
///         self.inner.send(request).await
///     }
/// }
/// ```
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends `request`, whose URI is absolute, and returns the server's response.
    ///
    /// Any status is a response: 200, 500 and redirects. An error means that no complete response
    /// arrived. The response's body is complete, and the transport limits its size
    /// ([`TransportError::BodyTooLarge`]).
    ///
    /// A transport sends a request at most once: it may retry only if nothing was sent.
    ///
    /// Dropping the future cancels the call but does not recall sent data: the server may still
    /// receive the request and act on it.
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError>;

    /// Sends `request` like [`send`](Self::send), and returns when the head of the response has
    /// arrived. Timeouts and size limits of the transport do not apply to the body.
    ///
    /// Readers use it for responses that are long or endless, such as a query's result or the tail
    /// of a table. The default implementation reads the whole response first, which suits every
    /// response that ends and fits into memory.
    async fn send_streaming(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Box<dyn Body>>, TransportError> {
        let response = self.send(request).await?;
        Ok(response.map(|body| Box::new(Whole(body)) as Box<dyn Body>))
    }
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        (**self).send(request).await
    }

    async fn send_streaming(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Box<dyn Body>>, TransportError> {
        (**self).send_streaming(request).await
    }
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Box<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        (**self).send(request).await
    }

    async fn send_streaming(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Box<dyn Body>>, TransportError> {
        (**self).send_streaming(request).await
    }
}

/// A type-erased transport that is cheap to clone.
#[derive(Clone)]
pub struct AnyTransport(Arc<dyn Transport>);

impl AnyTransport {
    /// Erases the type of `transport`.
    pub fn new(transport: impl Transport + 'static) -> Self {
        Self(Arc::new(transport))
    }
}

impl<T: Transport + 'static> From<Arc<T>> for AnyTransport {
    fn from(transport: Arc<T>) -> Self {
        Self(transport)
    }
}

impl From<Arc<dyn Transport>> for AnyTransport {
    fn from(transport: Arc<dyn Transport>) -> Self {
        Self(transport)
    }
}

impl fmt::Debug for AnyTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl Transport for AnyTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.0.send(request).await
    }

    async fn send_streaming(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Box<dyn Body>>, TransportError> {
        self.0.send_streaming(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TransportExt;
    use crate::testing::{Recorder, get, ready};

    #[test]
    fn every_handle_reaches_the_same_transport() {
        let recorder = Arc::new(Recorder::default());
        let shared: Arc<dyn Transport> = recorder.clone();
        let handles: [Box<dyn Transport>; 4] = [
            Box::new(recorder.clone()),
            Box::new(AnyTransport::from(recorder.clone())),
            Box::new(AnyTransport::from(shared).clone()),
            Box::new(AnyTransport::new(Box::new(recorder.clone()))),
        ];
        for handle in &handles {
            ready(handle.send(get("https://api.example/"))).unwrap();
        }
        assert_eq!(recorder.requests().len(), 4);
    }

    #[test]
    fn a_whole_response_can_be_read_as_a_stream() {
        let transport = AnyTransport::new(Arc::new(Recorder::default())).traced();
        let response = ready(transport.send_streaming(get("https://api.example/"))).unwrap();
        let mut body = response.into_body();
        assert_eq!(ready(body.chunk()), Ok(Some(Bytes::from_static(b"ok"))));
        assert_eq!(ready(body.chunk()), Ok(None));
        assert_eq!(ready(body.chunk()), Ok(None));
    }
}
