use async_trait::async_trait;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};

use crate::{Anonymous, ApiKey, Body, Origin, Transport, TransportError};

/// Adds the API key to requests to one origin; made by
/// [`with_auth`](crate::TransportExt::with_auth).
///
/// The header is `Authorization: Basic base64("api:" + key)`, marked sensitive. Requests to any
/// other scheme, host or port do not get it, so the key never reaches the storage to which a server
/// sends uploads. Requests that are [`Anonymous`] or have their own `Authorization` do not get it
/// either.
#[derive(Clone, Debug)]
pub struct BasicAuth<T> {
    inner: T,
    origin: Origin,
    authorization: HeaderValue,
}

impl<T> BasicAuth<T> {
    pub(crate) fn new(inner: T, origin: Origin, key: &ApiKey) -> Self {
        Self { inner, origin, authorization: key.to_basic() }
    }

    fn authorize(&self, mut request: Request<Bytes>) -> Request<Bytes> {
        if self.wants_key(&request) {
            request.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        }
        request
    }

    fn wants_key(&self, request: &Request<Bytes>) -> bool {
        request.extensions().get::<Anonymous>().is_none()
            && !request.headers().contains_key(AUTHORIZATION)
            && Origin::try_from(request.uri()).is_ok_and(|origin| origin == self.origin)
    }
}

#[async_trait]
impl<T: Transport> Transport for BasicAuth<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.inner.send(self.authorize(request)).await
    }

    async fn send_streaming(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Box<dyn Body>>, TransportError> {
        self.inner.send_streaming(self.authorize(request)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TransportExt;
    use crate::testing::{Recorder, get, ready};

    const SESAME: &str = "Basic YXBpOnNlc2FtZQ==";

    fn transport(base: &str) -> BasicAuth<Recorder> {
        let key = ApiKey::new("sesame").unwrap();
        Recorder::default().with_auth(base.parse().unwrap(), &key)
    }

    #[track_caller]
    fn check(base: &str, request: Request<Bytes>, expected: Option<&str>) {
        let transport = transport(base);
        ready(transport.send(request.clone())).unwrap();
        let sent = &transport.inner.requests()[0];
        let found = sent.headers().get(AUTHORIZATION);
        assert_eq!(found.map(|value| value.to_str().unwrap()), expected, "{}", sent.uri());
        ready(transport.send_streaming(request)).unwrap();
        assert_eq!(transport.inner.requests()[1].headers(), sent.headers());
    }

    #[test]
    fn only_the_own_origin_gets_the_key() {
        let base = "https://api.example/base";
        check(base, get("https://api.example/graphql"), Some(SESAME));
        check(base, get("https://API.example:443/"), Some(SESAME));
        check(base, get("http://api.example/"), None);
        check(base, get("https://api.example:8443/"), None);
        check(base, get("https://storage.example/?signature=x"), None);
        check(base, get("https://api.example.evil/"), None);
        check(base, get("https://api.example@evil/"), None);
        check("http://127.0.0.1:8080", get("http://127.0.0.1:8080/graphql"), Some(SESAME));
    }

    #[test]
    fn a_request_can_opt_out() {
        let mut anonymous = get("https://api.example/upload");
        anonymous.extensions_mut().insert(Anonymous);
        check("https://api.example", anonymous, None);

        let mut own = get("https://api.example/");
        own.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer own"));
        check("https://api.example", own, Some("Bearer own"));
    }

    #[test]
    fn the_key_is_not_shown() {
        let transport = transport("https://api.example");
        ready(transport.send(get("https://api.example/"))).unwrap();
        let shown = format!("{transport:?} {:?}", transport.inner.requests());
        assert!(shown.contains("Sensitive"), "{shown}");
        assert!(!shown.contains("sesame") && !shown.contains("YXBp"), "{shown}");
    }
}
