use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use http::{Request, Response};
use http_body::Body as HttpBody;
use tower_service::Service;

use crate::{AttemptTimeout, Body, Origin, Timer, Transport, TransportError};

/// A transport that sends requests with a `tower` service.
///
/// For programs that have a client with layers of their own, such as a `hyper_util` client, or that
/// test without a network. The service takes whole requests, `Request<Bytes>`; the body of its
/// response may be any `http_body::Body`.
///
/// A layer that repeats requests must not be used: only the client knows whether a request may be
/// repeated. An error of the service counts as [`TransportError::Interrupted`] once it has been
/// called, because the request may have arrived; a service that knows better returns a
/// [`TransportError`].
///
/// ```
/// use std::convert::Infallible;
/// use std::future::{Ready, ready};
/// use std::task::{Context, Poll};
/// use std::time::Duration;
///
/// use async_trait::async_trait;
/// use bytes::Bytes;
/// use futures_util::FutureExt;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use streamtable_transport::{ServiceTransport, Timer, Transport};
/// use tower_service::Service;
///
/// #[derive(Clone)]
/// struct Echo;
///
/// impl Service<Request<Bytes>> for Echo {
///     type Response = Response<Full<Bytes>>;
///     type Error = Infallible;
///     type Future = Ready<Result<Self::Response, Infallible>>;
///
///     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
///         Poll::Ready(Ok(()))
///     }
///
///     fn call(&mut self, request: Request<Bytes>) -> Self::Future {
///         ready(Ok(Response::new(Full::new(request.into_body()))))
///     }
/// }
///
/// /// Never ends; with tokio, use `TokioTimer` of `streamtable-transport-hyper`.
/// #[derive(Debug)]
/// struct Never;
///
/// #[async_trait]
/// impl Timer for Never {
///     async fn sleep(&self, _: Duration) {
///         std::future::pending().await
///     }
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let transport = ServiceTransport::new(Echo, Never);
///     let request = Request::post("https://api.example/").body(Bytes::from("rows"))?;
///     let response = transport.send(request).now_or_never().expect("it is ready")?;
///     assert_eq!(response.body(), "rows");
///     Ok(())
/// }
/// ```
pub struct ServiceTransport<S> {
    /// Cloned for each request.
    service: Mutex<S>,
    timer: Box<dyn Timer>,
    timeout: Duration,
    max_response_bytes: usize,
}

impl<S> ServiceTransport<S> {
    /// Makes a transport. The timer ends requests after the [timeout](Self::with_timeout).
    pub fn new(service: S, timer: impl Timer + 'static) -> Self {
        Self {
            service: Mutex::new(service),
            timer: Box::new(timer),
            timeout: Duration::from_secs(60),
            max_response_bytes: 64 << 20,
        }
    }

    /// Limits the time from sending a request to the last byte of the response. The default is 60 s.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Limits the size of a response that is read as a whole. The default is 64 MiB.
    #[must_use]
    pub fn with_max_response_bytes(self, max_response_bytes: usize) -> Self {
        Self { max_response_bytes, ..self }
    }

    /// Waits for `work` until the timeout.
    async fn in_time<T>(
        &self,
        timeout: Duration,
        work: impl Future<Output = Result<T, TransportError>> + Send,
    ) -> Result<T, TransportError> {
        let (mut work, mut sleep) = (pin!(work), self.timer.sleep(timeout));
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => sleep
                .as_mut()
                .poll(context)
                .map(|()| Err(TransportError::Timeout { after: timeout })),
        })
        .await
    }
}

impl<S, B> ServiceTransport<S>
where
    S: Service<Request<Bytes>, Response = Response<B>> + Clone + Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send,
    B: Send,
{
    /// Calls the service, and returns its response with the name of the host.
    async fn call(&self, request: Request<Bytes>) -> Result<(Response<B>, String), TransportError> {
        let host = Origin::try_from(request.uri())?.authority();
        let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ready = poll_fn(|context| service.poll_ready(context)).await;
        ready.map_err(|error| unreachable(error.into(), &host))?;
        let response = service.call(request).await;
        Ok((response.map_err(|error| interrupted(error.into(), &host))?, host))
    }
}

#[async_trait]
impl<S, B> Transport for ServiceTransport<S>
where
    S: Service<Request<Bytes>, Response = Response<B>> + Clone + Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send,
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let timeout = AttemptTimeout::lower(request.extensions(), self.timeout);
        let limit = self.max_response_bytes;
        let whole = async {
            let (response, host) = self.call(request).await?;
            let (parts, body) = response.into_parts();
            let mut chunks = Chunks { body: Box::pin(body), host };
            let mut whole = BytesMut::new();
            while let Some(chunk) = chunks.chunk().await? {
                if chunk.len() > limit - whole.len() {
                    return Err(TransportError::BodyTooLarge { limit });
                }
                whole.put(chunk);
            }
            Ok(Response::from_parts(parts, whole.freeze()))
        };
        self.in_time(timeout, whole).await
    }

    async fn send_streaming(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Box<dyn Body>>, TransportError> {
        let timeout = AttemptTimeout::lower(request.extensions(), self.timeout);
        let (response, host) = self.in_time(timeout, self.call(request)).await?;
        Ok(response.map(|body| Box::new(Chunks { body: Box::pin(body), host }) as Box<dyn Body>))
    }
}

impl<S> fmt::Debug for ServiceTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceTransport")
            .field("service", &std::any::type_name::<S>())
            .finish_non_exhaustive()
    }
}

/// The body of a service's response.
struct Chunks<B> {
    body: Pin<Box<B>>,
    host: String,
}

#[async_trait]
impl<B> Body for Chunks<B>
where
    B: HttpBody + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        loop {
            let frame = poll_fn(|context| self.body.as_mut().poll_frame(context)).await;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| interrupted(error.into(), &self.host))?;
            // Trailers are skipped.
            if let Ok(mut data) = frame.into_data() {
                let length = bytes::Buf::remaining(&data);
                return Ok(Some(bytes::Buf::copy_to_bytes(&mut data, length)));
            }
        }
    }
}

impl<B> fmt::Debug for Chunks<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").field("host", &self.host).finish_non_exhaustive()
    }
}

fn unreachable(error: Box<dyn Error + Send + Sync>, host: &str) -> TransportError {
    known(error, |reason| TransportError::Unreachable { host: host.to_owned(), reason })
}

fn interrupted(error: Box<dyn Error + Send + Sync>, host: &str) -> TransportError {
    known(error, |reason| TransportError::Interrupted { host: host.to_owned(), reason })
}

/// Returns the service's own [`TransportError`], or the one that `other` makes of the reason.
fn known(
    error: Box<dyn Error + Send + Sync>,
    other: impl FnOnce(String) -> TransportError,
) -> TransportError {
    match error.downcast::<TransportError>() {
        Ok(error) => *error,
        Err(error) => {
            let mut reason = error.to_string();
            let mut next = error.source();
            while let Some(source) = next {
                reason = format!("{reason}: {source}");
                next = source.source();
            }
            other(reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::task::Context;

    use http_body_util::Full;

    use super::*;
    use crate::testing::{get, ready};

    /// The behaviour of a service.
    #[derive(Clone)]
    enum Script {
        Answer(&'static [u8]),
        Fail(Option<TransportError>),
        NotReady,
        Hang,
    }

    /// A service that must be asked whether it is ready before each call.
    #[derive(Clone)]
    struct Scripted {
        script: Script,
        is_ready: bool,
    }

    type Answer = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, BoxError>> + Send>>;
    type BoxError = Box<dyn Error + Send + Sync>;

    impl Service<Request<Bytes>> for Scripted {
        type Response = Response<Full<Bytes>>;
        type Error = BoxError;
        type Future = Answer;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            self.is_ready = true;
            match self.script {
                Script::NotReady => Poll::Ready(Err("closed".into())),
                _ => Poll::Ready(Ok(())),
            }
        }

        fn call(&mut self, _: Request<Bytes>) -> Answer {
            assert!(std::mem::take(&mut self.is_ready), "the service is not ready");
            let script = self.script.clone();
            Box::pin(async move {
                match script {
                    Script::Answer(body) => Ok(Response::new(Full::new(Bytes::from_static(body)))),
                    Script::Fail(Some(error)) => Err(error.into()),
                    Script::Fail(None) => Err(Box::new(io::Error::other("reset")) as BoxError),
                    _ => std::future::pending().await,
                }
            })
        }
    }

    /// A timer that is always at its end.
    #[derive(Debug)]
    struct Now;

    #[async_trait]
    impl Timer for Now {
        async fn sleep(&self, _: Duration) {}
    }

    #[track_caller]
    fn check(script: Script, expected: Result<&str, TransportError>) {
        let service = Scripted { script, is_ready: false };
        let transport = ServiceTransport::new(service, Now).with_max_response_bytes(4);
        let mut request = get("https://api.example/");
        request.extensions_mut().insert(AttemptTimeout(Duration::from_secs(7)));
        for _ in 0..2 {
            let found = ready(transport.send(request.clone())).map(Response::into_body);
            assert_eq!(found, expected.clone().map(|text| Bytes::copy_from_slice(text.as_bytes())));
        }
    }

    #[test]
    fn outcomes_of_a_service_are_outcomes_of_the_transport() {
        let host = || "api.example".to_owned();
        check(Script::Answer(b"rows"), Ok("rows"));
        check(Script::Answer(b""), Ok(""));
        check(Script::Answer(b"a row"), Err(TransportError::BodyTooLarge { limit: 4 }));
        let reason = "closed".to_owned();
        check(Script::NotReady, Err(TransportError::Unreachable { host: host(), reason }));
        let reason = "reset".to_owned();
        check(Script::Fail(None), Err(TransportError::Interrupted { host: host(), reason }));
        let own = TransportError::ProxyAuth { host: host() };
        check(Script::Fail(Some(own.clone())), Err(own));
        check(Script::Hang, Err(TransportError::Timeout { after: Duration::from_secs(7) }));
    }
}
