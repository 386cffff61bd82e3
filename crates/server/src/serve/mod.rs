//! Accepts and serves connections.

mod activity;
mod connection_permits;
mod pace;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::DATE;
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use streamtable_server_core::clock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::access::Peer;
use crate::config::Limits;
use activity::{UnderWay, WatchedIo};
use connection_permits::{ConnectionPermit, ConnectionPermits};
use pace::{PacedBody, PacedIo};

/// Pause after a failed accept, for example if the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves connections until `shutdown` completes and the open connections have ended.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: &Limits,
    shutdown: impl Future<Output = ()> + Send,
) {
    let mut shutdown = std::pin::pin!(shutdown);
    let stopping = CancellationToken::new();
    let permits = Arc::new(ConnectionPermits::new(limits));
    let limits = Arc::new(limits.clone());
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        let Some((stream, peer, permit)) = accepted else { continue };
        let connection = Connection {
            router: router.clone(),
            peer,
            limits: Arc::clone(&limits),
            permit,
            stopping: stopping.clone(),
        };
        let tls = tls.clone();
        connections.spawn(async move {
            match tls {
                None => connection.run(stream).await,
                Some(tls) => connection.run_tls(&tls, stream).await,
            }
        });
    }
    drop(listener);
    stopping.cancel();
    connections.close();
    if tokio::time::timeout(limits.drain_timeout, connections.wait()).await.is_err() {
        tracing::warn!(open = connections.len(), "some connections did not end in time");
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<ConnectionPermits>,
) -> Option<(TcpStream, SocketAddr, ConnectionPermit)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%peer, %error, "no TCP_NODELAY");
            }
            let Some(permit) = permits.acquire(peer.ip()).await else {
                tracing::warn!(target: "audit", %peer, "too many connections from this address");
                return None;
            };
            Some((stream, peer, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            // The process may run out of file descriptors before all permits are taken.
            permits.make_room();
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

struct Connection {
    router: Router,
    peer: SocketAddr,
    limits: Arc<Limits>,
    permit: ConnectionPermit,
    stopping: CancellationToken,
}

impl Connection {
    async fn run_tls(self, tls: &TlsAcceptor, stream: TcpStream) {
        let peer = self.peer;
        let handshake = tokio::time::timeout(self.limits.header_timeout, tls.accept(stream));
        let stream = tokio::select! {
            stream = handshake => stream,
            () = self.permit.evicted() => return,
            () = self.stopping.cancelled() => return,
        };
        match stream {
            Ok(Ok(stream)) => self.run(stream).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
            Err(_) => tracing::debug!(%peer, "the TLS handshake timed out"),
        }
    }

    async fn run<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(self, stream: S) {
        let Self { router, peer, limits, permit, stopping } = self;
        let activity = Arc::clone(permit.activity());
        activity.begin_idle();
        let evicted = permit.eviction();
        let rate = limits.min_bytes_per_second;
        let stream = PacedIo::new(stream, limits.write_timeout, rate);
        // The stream holds the permit, since it outlives the HTTP connection after an upgrade.
        let stream = WatchedIo::new(stream, permit);
        let service = {
            let (activity, limits) = (Arc::clone(&activity), Arc::clone(&limits));
            hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
                let under_way = activity.begin_request();
                let mut request: Request = request.map(|body| {
                    axum::body::Body::new(PacedBody::new(body, limits.body_timeout, rate))
                });
                request.extensions_mut().insert(Peer(peer));
                answer(router.clone(), request, under_way)
            })
        };
        // hyper's timeout for heads would also count idle time, and its `Date` panics before 1970.
        let connection = http1::Builder::new()
            .header_read_timeout(None::<Duration>)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let mut is_last = false;
        let result = loop {
            tokio::select! {
                result = connection.as_mut() => break result,
                () = stopping.cancelled(), if !is_last => is_last = true,
                () = evicted.cancelled(), if !is_last => {
                    if !activity.is_under_way() {
                        tracing::debug!(%peer, "a connection was closed to make room");
                        return;
                    }
                    is_last = true;
                }
                () = activity.overdue(limits.header_timeout, limits.idle_timeout) => {
                    tracing::debug!(%peer, "a connection sent no request in time");
                    return;
                }
            }
            connection.as_mut().graceful_shutdown();
        };
        if let Err(error) = result {
            tracing::debug!(%peer, %error, "a connection ended");
        }
    }
}

/// Answers a request. It counts as running until the response body has been sent or dropped.
async fn answer(
    router: Router,
    request: Request,
    mut under_way: UnderWay,
) -> Result<
    Response<impl hyper::body::Body<Data = axum::body::Bytes, Error = axum::Error>>,
    Infallible,
> {
    let Ok(mut response) = router.oneshot(request).await;
    response.headers_mut().entry(DATE).or_insert_with(clock::http_date);
    if response.status() == http::StatusCode::SWITCHING_PROTOCOLS {
        under_way.never_ends();
    }
    // Not `map_frame`, which hides the length of the body.
    Ok(response.map(|body| {
        body.map_err(move |error| {
            let _is_part_of_the_body = &under_way;
            error
        })
    }))
}
