use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};

use crate::TransportError;

/// Sends one HTTP request and brings back the whole answer.
///
/// Whoever holds a transport may call it concurrently, from any number of tasks.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends `request`, whose URI is absolute, and returns the server's answer.
    ///
    /// Any status is an answer, 500 as well as 200, and so is a redirect: an error means that no
    /// whole answer came. The answer's body is whole, and the transport bounds its size
    /// ([`TransportError::BodyTooLarge`]).
    ///
    /// A transport sends a request at most once: it may repeat only what certainly never left.
    ///
    /// Dropping the future cancels the call, but not what is already on its way: the request may
    /// still arrive and be acted upon.
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError>;
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        (**self).send(request).await
    }
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Box<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        (**self).send(request).await
    }
}

/// Some transport, whichever: a handle that is cheap to clone.
#[derive(Clone)]
pub struct AnyTransport(Arc<dyn Transport>);

impl AnyTransport {
    /// Hides the type of `transport`.
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
}

#[cfg(test)]
mod tests {
    use super::*;
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
}
