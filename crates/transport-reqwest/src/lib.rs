//! A transport of StreamTable over `reqwest`.
//!
//! For programs that already have a configured [`reqwest::Client`]: its proxies, TLS, certificates and
//! DNS apply. Other programs use the default transport, `streamtable-transport-hyper`. This crate selects
//! no TLS; select it in the program's own dependency on `reqwest`.
//!
//! ```no_run
//! use streamtable::{StreamTable, row};
//! use streamtable_transport_reqwest::ReqwestTransport;
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let transport = ReqwestTransport::new(reqwest::Client::builder())?;
//!     let table = StreamTable::open_with("my-team/shop/requests", transport).await?;
//!     table.log(row! { "path" => "/", "ms" => 7 }).await?;
//!     table.finish().await?;
//!     Ok(())
//! }
//! ```

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use reqwest::redirect::Policy;
use streamtable_transport::{AttemptTimeout, Body, Origin, Transport, TransportError};

/// Limit for the whole exchange.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Limit for the size of a response that is read as a whole.
const MAX_RESPONSE_BYTES: usize = 64 << 20;

/// A transport over a `reqwest` client.
///
/// An exchange takes at most 60 seconds, or less if the request has an
/// [`AttemptTimeout`], and a response that is read as a whole has at most 64 MiB.
#[derive(Clone, Debug)]
pub struct ReqwestTransport {
    client: reqwest::Client,
}

impl ReqwestTransport {
    /// Makes a transport from the settings of a client. Redirects become responses, and no request is
    /// repeated: only the caller knows whether it may be.
    pub fn new(client: reqwest::ClientBuilder) -> reqwest::Result<Self> {
        let client = client.redirect(Policy::none()).retry(reqwest::retry::never()).build()?;
        Ok(Self { client })
    }

    /// Makes a transport from an existing client, which shares its connections.
    ///
    /// The client must not follow redirects and must not retry: build it with
    /// [`Policy::none`] and [`reqwest::retry::never`].
    pub fn from_client(client: reqwest::Client) -> Self {
        Self { client }
    }

    /// Sends a request, and returns when the head of the response has arrived.
    async fn begin(
        &self,
        request: Request<Bytes>,
        host: &str,
    ) -> Result<reqwest::Response, TransportError> {
        let request = reqwest::Request::try_from(request).map_err(|error| convert(error, host))?;
        self.client.execute(request).await.map_err(|error| convert(error, host))
    }
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let after = AttemptTimeout::lower(request.extensions(), TIMEOUT);
        let exchange = async {
            let (parts, mut body) = self.send_streaming(request).await?.into_parts();
            let mut whole = BytesMut::new();
            while let Some(chunk) = body.chunk().await? {
                if whole.len() + chunk.len() > MAX_RESPONSE_BYTES {
                    return Err(TransportError::BodyTooLarge { limit: MAX_RESPONSE_BYTES });
                }
                whole.extend_from_slice(&chunk);
            }
            Ok(Response::from_parts(parts, whole.freeze()))
        };
        match tokio::time::timeout(after, exchange).await {
            Ok(result) => result,
            Err(_) => Err(TransportError::Timeout { after }),
        }
    }

    async fn send_streaming(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Box<dyn Body>>, TransportError> {
        let after = AttemptTimeout::lower(request.extensions(), TIMEOUT);
        let host = Origin::try_from(request.uri())?.authority();
        let response = tokio::time::timeout(after, self.begin(request, &host)).await;
        let response = response.map_err(|_| TransportError::Timeout { after })??;
        let mut head = Response::new(());
        *head.status_mut() = response.status();
        *head.headers_mut() = response.headers().clone();
        Ok(head.map(|()| Box::new(Chunks { response, host }) as Box<dyn Body>))
    }
}

/// The body of a response.
#[derive(Debug)]
struct Chunks {
    response: reqwest::Response,
    host: String,
}

#[async_trait]
impl Body for Chunks {
    async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        self.response.chunk().await.map_err(|error| convert(error, &self.host))
    }
}

/// Returns what may have happened to the request. The URL is left out, because it may hold a signature.
fn convert(error: reqwest::Error, host: &str) -> TransportError {
    let (host, error) = (host.to_owned(), error.without_url());
    let mut reason = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        reason = format!("{reason}: {source}");
        next = source.source();
    }
    if error.is_connect() {
        TransportError::Unreachable { host, reason }
    } else if error.is_builder() {
        TransportError::InvalidRequest { reason }
    } else {
        TransportError::Interrupted { host, reason }
    }
}
