use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use streamtable_transport::{Origin, TransportError};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::Addresses;
use crate::addresses::{NOT_PUBLIC, Resolver};
use crate::cause;
use crate::proxy::{self, Intercept, Proxies};
use crate::tls::{MaybeHttpsStream, NOT_POSSIBLE, Peer, Tls};

/// Connects to servers, through a proxy if one is configured. Its errors are final: the client
/// above returns them unchanged.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    tcp: HttpConnector<Resolver>,
    addresses: Addresses,
    tls: Option<Tls>,
    proxies: Arc<Proxies>,
    limit: Duration,
}

impl Connector {
    pub(crate) fn new(
        tls: Option<Tls>,
        proxies: Arc<Proxies>,
        limit: Duration,
        addresses: Addresses,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new(addresses));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // hyper divides this among a host's addresses, so that one unreachable address does not use
        // all of it.
        tcp.set_connect_timeout(Some(limit));
        Self { tcp, addresses, tls, proxies, limit }
    }

    async fn connect(self, uri: Uri) -> Result<Stream, TransportError> {
        let origin = Origin::try_from(&uri)?;
        match tokio::time::timeout(self.limit, self.route(&uri, &origin)).await {
            Ok(stream) => stream,
            Err(_) => Err(TransportError::Unreachable {
                host: origin.authority(),
                reason: format!("no connection within {:?}", self.limit),
            }),
        }
    }

    async fn route(&self, uri: &Uri, origin: &Origin) -> Result<Stream, TransportError> {
        let hop = match self.proxies.intercept(uri)? {
            Some(proxy) => self.dial_through(&proxy, uri, origin).await?,
            None => Hop { io: self.dial(uri, origin).await?.into(), proxied: false },
        };
        self.secure(hop, uri, origin, Peer::Server).await
    }

    async fn dial_through(
        &self,
        proxy: &Intercept,
        uri: &Uri,
        origin: &Origin,
    ) -> Result<Hop, TransportError> {
        let via = Origin::try_from(proxy.uri())?;
        let tcp = self.dial(proxy.uri(), &via).await?;
        let io = self.secure(tcp, proxy.uri(), &via, Peer::Proxy).await?;
        if !origin.is_secure() {
            return Ok(Hop { io, proxied: true });
        }
        let io = proxy::tunnel(proxy, &via, io, uri).await?;
        Ok(Hop { io, proxied: false })
    }

    async fn dial(&self, uri: &Uri, origin: &Origin) -> Result<Tcp, TransportError> {
        // An address in place of a name is not resolved.
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        if host.parse().is_ok_and(|address| !self.addresses.allow(address)) {
            let (host, reason) = (origin.authority(), NOT_PUBLIC.to_owned());
            return Err(TransportError::Unreachable { host, reason });
        }
        let tcp = self.tcp.clone().call(uri.clone()).await;
        tcp.map_err(|error| cause::of_connecting(error.into(), origin.authority()))
    }

    /// Adds TLS to `io` if the scheme is https.
    async fn secure<T: Connection + Read + Write + Send + Unpin + 'static>(
        &self,
        io: T,
        uri: &Uri,
        origin: &Origin,
        peer: Peer,
    ) -> Result<MaybeHttpsStream<T>, TransportError> {
        if !origin.is_secure() {
            return Ok(io.into());
        }
        let tls = self.tls.as_ref().ok_or_else(|| TransportError::Tls {
            host: origin.authority(),
            reason: NOT_POSSIBLE.to_owned(),
        })?;
        let stream = tls.secure(io, uri, peer).await;
        stream.map_err(|error| cause::of_connecting(error, origin.authority()))
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, TransportError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

type Tcp = TokioIo<TcpStream>;
type Stream = MaybeHttpsStream<Hop>;

/// The connection to a server before TLS with the server itself.
pub(crate) struct Hop {
    io: MaybeHttpsStream<Tcp>,
    /// Whether the other end is a proxy that expects absolute URLs.
    proxied: bool,
}

impl Connection for Hop {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.proxied)
    }
}

impl Read for Hop {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Hop {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
