use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::Entry;
use http::{HeaderMap, Request, Response};

use crate::{Body, Transport, TransportError};

/// Adds headers to every request; made by [`with_headers`](crate::TransportExt::with_headers).
///
/// `Debug` shows only their names.
#[derive(Clone)]
pub struct Headers<T> {
    inner: T,
    headers: HeaderMap,
}

impl<T> Headers<T> {
    pub(crate) fn new(inner: T, headers: HeaderMap) -> Self {
        Self { inner, headers }
    }

    fn add(&self, mut request: Request<Bytes>) -> Request<Bytes> {
        for name in self.headers.keys() {
            if let Entry::Vacant(vacant) = request.headers_mut().entry(name) {
                let mut values = self.headers.get_all(name).iter().cloned();
                if let Some(first) = values.next() {
                    let mut added = vacant.insert_entry(first);
                    values.for_each(|value| added.append(value));
                }
            }
        }
        request
    }
}

#[async_trait]
impl<T: Transport> Transport for Headers<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.inner.send(self.add(request)).await
    }

    async fn send_streaming(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Box<dyn Body>>, TransportError> {
        self.inner.send_streaming(self.add(request)).await
    }
}

impl<T: fmt::Debug> fmt::Debug for Headers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headers")
            .field("inner", &self.inner)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TransportExt;
    use crate::testing::{Recorder, get, ready};

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[track_caller]
    fn check(
        added: &[(&'static str, &str)],
        own: &[(&'static str, &str)],
        sent: &[(&'static str, &str)],
    ) {
        let transport = Recorder::default().with_headers(headers(added));
        let mut request = get("https://api.example/");
        *request.headers_mut() = headers(own);
        ready(transport.send(request.clone())).unwrap();
        ready(transport.send_streaming(request)).unwrap();
        for request in transport.inner.requests() {
            assert_eq!(request.headers(), &headers(sent));
        }
    }

    #[test]
    fn added_unless_present() {
        check(&[], &[("a", "1")], &[("a", "1")]);
        check(&[("b", "2")], &[("a", "1")], &[("a", "1"), ("b", "2")]);
        check(&[("a", "2"), ("a", "3")], &[("a", "1")], &[("a", "1")]);
        check(&[("a", "2"), ("a", "3")], &[], &[("a", "2"), ("a", "3")]);
    }

    #[test]
    fn values_are_not_shown() {
        let transport = Recorder::default().with_headers(headers(&[("x-token", "sesame")]));
        let shown = format!("{transport:?}");
        assert!(shown.contains("x-token") && !shown.contains("sesame"), "{shown}");
    }
}
