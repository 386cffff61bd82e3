use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use tracing::{Instrument as _, debug, debug_span};

use crate::{Body, Transport, TransportError};

/// Reports every request to `tracing`; made by [`traced`](crate::TransportExt::traced).
///
/// At debug level: a span `http` with `method`, `host` and `path`, and one event at its end with
/// `sent` (bytes), `ms` and either `status` and `received` (bytes) or `error`. Queries, headers and
/// bodies are never shown. A failure is not a warning here: the caller that gets the error decides.
#[derive(Clone, Debug)]
pub struct Traced<T> {
    inner: T,
}

impl<T> Traced<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner }
    }
}

#[async_trait]
impl<T: Transport> Transport for Traced<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let received = |answer: &Response<Bytes>| Some(answer.body().len());
        traced(request, |request| self.inner.send(request), received).await
    }

    async fn send_streaming(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Box<dyn Body>>, TransportError> {
        traced(request, |request| self.inner.send_streaming(request), |_| None).await
    }
}

/// Sends a request and reports it. The response of a stream is reported when its head has arrived.
async fn traced<B, F>(
    request: Request<Bytes>,
    send: impl FnOnce(Request<Bytes>) -> F,
    received: impl FnOnce(&Response<B>) -> Option<usize>,
) -> Result<Response<B>, TransportError>
where
    F: Future<Output = Result<Response<B>, TransportError>>,
{
    let uri = request.uri();
    let host = uri.host().unwrap_or_default();
    let span = debug_span!("http", method = %request.method(), host, path = uri.path());
    let sent = request.body().len();
    async {
        let start = Instant::now();
        let answer = send(request).await;
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &answer {
            Ok(answer) => {
                let status = answer.status().as_u16();
                debug!(status, sent, received = received(answer), ms, "answered");
            }
            Err(error) => debug!(%error, sent, ms, "failed"),
        }
        answer
    }
    .instrument(span)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Recorder, get, logged, ready};
    use crate::{ApiKey, TransportExt};

    #[track_caller]
    fn check(transport: impl Transport, request: Request<Bytes>, expected: &[&str]) {
        let lines = logged(|| ready(transport.send(request)).is_ok());
        // The only figure that differs between runs.
        let lines: Vec<_> = lines.iter().map(|line| line.split(" ms=").next().unwrap()).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_response_is_an_event_in_a_span() {
        let key = ApiKey::new("sesame").unwrap();
        let transport = Recorder::default().traced();
        let transport = transport.with_auth("https://api.example".parse().unwrap(), &key);
        let mut request = get("https://api.example/files/a?signature=sesame");
        *request.body_mut() = Bytes::from_static(b"sesame");
        let expected = [
            "http method=GET host=\"api.example\" path=\"/files/a\"",
            "message=answered status=200 sent=6 received=2",
        ];
        check(transport, request, &expected);
    }

    #[test]
    fn a_failure_is_an_event_in_a_span() {
        let transport = Recorder::failing(TransportError::BodyTooLarge { limit: 9 }).traced();
        let expected = [
            "http method=GET host=\"api.example\" path=\"/\"",
            "message=failed error=the response is longer than 9 bytes sent=0",
        ];
        check(transport, get("https://api.example/"), &expected);
    }
}
