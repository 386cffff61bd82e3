use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, Entry, PROXY_AUTHORIZATION,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use streamtable_transport::{AttemptTimeout, Body, GzipBody, Origin, Transport, TransportError};
use tracing::warn;

use crate::body::{self, BodyError, Chunks};
use crate::connect::Connector;
use crate::pools::{Client, Pools};
use crate::proxy::Proxies;
use crate::tls::Tls;
use crate::{ConfigError, HyperConfig, cause, gzip};

const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// Sends requests with hyper over rustls, and keeps connections open for later requests.
///
/// **Runtimes.** `send` works in any tokio runtime with time and network enabled. Each runtime has
/// its own connections, which end with it, so several runtimes may share one transport.
///
/// **Retries.** If a kept connection turns out to be closed before any byte of a request was
/// written to it, the request is sent on another connection. Nothing else is ever sent twice.
///
/// **Compression.** The transport accepts gzip responses and decompresses them, unless the request
/// sets its own `Accept-Encoding`. Request bodies are compressed if [`GzipBody`] allows it.
///
/// **Plain http** is used if the URL says so. The first request that sends an `Authorization`
/// header unencrypted to another machine logs a warning.
pub struct HyperTransport {
    config: HyperConfig,
    pools: Pools,
    proxies: Arc<Proxies>,
    warned: AtomicBool,
}

impl HyperTransport {
    /// Makes a transport with the defaults and the proxies from the environment variables:
    /// [`HyperConfig::from_env`].
    pub fn new() -> Result<Self, ConfigError> {
        Self::with_config(HyperConfig::from_env())
    }

    /// Makes a transport from explicit settings. The environment is not read, except that
    /// [`Roots::Platform`](crate::Roots::Platform) on Linux looks for `SSL_CERT_FILE`.
    pub fn with_config(config: HyperConfig) -> Result<Self, ConfigError> {
        let proxies = Arc::new(Proxies::new(&config.proxies)?);
        let tls = Tls::new(&config.roots)?;
        let connector =
            Connector::new(tls, proxies.clone(), config.connect_timeout, config.addresses);
        let pools = Pools::new(connector, config.idle_timeout);
        Ok(Self { config, pools, proxies, warned: AtomicBool::new(false) })
    }

    /// Sends a request and returns once the response head has arrived. The body is streamed without
    /// decompression and without a limit on its size or duration.
    ///
    /// For long or endless responses, such as exports and event streams. The connection is closed
    /// if the body is dropped before its end.
    pub async fn stream(
        &self,
        mut request: Request<Bytes>,
    ) -> Result<Response<Incoming>, TransportError> {
        let client = self.pools.client().ok_or_else(no_runtime)?;
        let origin = Origin::try_from(request.uri())?;
        *request.version_mut() = Version::HTTP_11;
        self.authorize(&mut request, &origin);
        let answer = client.request(request.map(Full::new)).await;
        answer.map_err(|error| cause::of_exchange(&error, origin.authority()))
    }

    async fn exchange(
        &self,
        client: Client,
        mut request: Request<Bytes>,
    ) -> Result<Response<Bytes>, TransportError> {
        let origin = Origin::try_from(request.uri())?;
        *request.version_mut() = Version::HTTP_11;
        self.authorize(&mut request, &origin);
        if request.extensions().get::<GzipBody>().is_some() {
            self.compress(&mut request).await;
        }
        let may_unpack = cfg!(feature = "gzip")
            && accept_gzip(request.headers_mut())
            && request.method() != Method::HEAD;

        let answer = client.request(request.map(Full::new)).await;
        let answer = answer.map_err(|error| cause::of_exchange(&error, origin.authority()))?;

        let (mut parts, body) = answer.into_parts();
        let limit = self.config.max_response_bytes;
        let body = if may_unpack && is_gzip(&parts.headers) {
            parts.headers.remove(CONTENT_ENCODING);
            parts.headers.remove(CONTENT_LENGTH);
            gzip::read(body, limit).await
        } else {
            body::read(body, limit).await
        };
        match body {
            Ok(body) => Ok(Response::from_parts(parts, body)),
            Err(BodyError::TooLarge) => Err(TransportError::BodyTooLarge { limit }),
            Err(BodyError::Damaged(reason)) => {
                Err(TransportError::Interrupted { host: origin.authority(), reason })
            }
        }
    }

    /// Marks credentials as sensitive for logs, and adds the credentials for a plain-http proxy.
    fn authorize(&self, request: &mut Request<Bytes>, origin: &Origin) {
        if let Some(credentials) = request.headers_mut().get_mut(AUTHORIZATION) {
            credentials.set_sensitive(true);
            let exposed = !origin.is_secure() && !origin.is_loopback();
            if exposed && !self.warned.swap(true, Ordering::Relaxed) {
                let host = origin.authority();
                warn!(host, "credentials travel unencrypted: use https beyond this machine");
            }
        }
        if !origin.is_secure()
            && let Ok(Some(proxy)) = self.proxies.intercept(request.uri())
            && let Some(credentials) = proxy.basic_auth()
        {
            request.headers_mut().insert(PROXY_AUTHORIZATION, credentials.clone());
        }
    }

    async fn compress(&self, request: &mut Request<Bytes>) {
        let too_short = request.body().len() < self.config.min_gzip_bytes;
        if too_short || request.headers().contains_key(CONTENT_ENCODING) {
            return;
        }
        if let Some(packed) = gzip::pack(request.body().clone()).await {
            *request.body_mut() = packed;
            request.headers_mut().insert(CONTENT_ENCODING, GZIP);
            request.headers_mut().remove(CONTENT_LENGTH);
        }
    }
}

#[async_trait]
impl Transport for HyperTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let client = self.pools.client().ok_or_else(no_runtime)?;
        let after = AttemptTimeout::lower(request.extensions(), self.config.request_timeout);
        match tokio::time::timeout(after, self.exchange(client, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(TransportError::Timeout { after }),
        }
    }

    async fn send_streaming(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Box<dyn Body>>, TransportError> {
        let after = AttemptTimeout::lower(request.extensions(), self.config.request_timeout);
        let host = Origin::try_from(request.uri())?.authority();
        match tokio::time::timeout(after, self.stream(request)).await {
            Ok(answer) => Ok(answer?.map(|body| Box::new(Chunks { body, host }) as Box<dyn Body>)),
            Err(_) => Err(TransportError::Timeout { after }),
        }
    }
}

impl fmt::Debug for HyperTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransport").field("config", &self.config).finish_non_exhaustive()
    }
}

fn no_runtime() -> TransportError {
    TransportError::InvalidRequest { reason: "there is no tokio runtime here".to_owned() }
}

/// Requests gzip, and returns whether it did: if the caller set an encoding, the response is
/// returned as it is.
fn accept_gzip(headers: &mut HeaderMap) -> bool {
    match headers.entry(ACCEPT_ENCODING) {
        Entry::Occupied(_) => false,
        Entry::Vacant(vacant) => {
            vacant.insert(GZIP);
            true
        }
    }
}

fn is_gzip(headers: &HeaderMap) -> bool {
    let encoding = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
    encoding.is_some_and(|name| {
        name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip")
    })
}
