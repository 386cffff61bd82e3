//! A proxy that injects faults.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// The fault injected into a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None: the request passes through.
    None,
    /// The request is lost.
    LoseRequest,
    /// The request arrives, but its response is lost.
    LoseAnswer,
    /// The request is sent twice.
    Twice,
    /// The proxy responds 503 without forwarding the request.
    Busy,
    /// It is answered 200 with an HTML page without arriving, as by a captive portal.
    Page,
}

/// A proxy in front of a server. The `Host` header is forwarded unchanged.
pub(crate) struct Proxy {
    pub(crate) url: String,
    pub(crate) requests: Arc<AtomicUsize>,
}

type Plan = Arc<dyn Fn(usize, &str) -> Fault + Send + Sync>;

impl Proxy {
    /// Serves until the runtime ends. `plan` chooses the fault from the number and the path of a
    /// request.
    pub(crate) async fn start(
        upstream: &str,
        plan: impl Fn(usize, &str) -> Fault + Send + Sync + 'static,
    ) -> Self {
        let upstream: SocketAddr = upstream.parse().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let (plan, counter): (Plan, _) = (Arc::new(plan), Arc::clone(&requests));
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (plan, counter) = (Arc::clone(&plan), Arc::clone(&counter));
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(|request| {
                        let number = counter.fetch_add(1, Ordering::SeqCst);
                        let fault = plan(number, request.uri().path());
                        forward(upstream, request, fault)
                    });
                    // An error makes hyper drop the connection, which loses the response.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { url, requests }
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn forward(
    upstream: SocketAddr,
    request: Request<Incoming>,
    fault: Fault,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let lost = || Err(std::io::Error::other("lost"));
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    match fault {
        Fault::LoseRequest => return lost(),
        Fault::Busy => {
            let mut answer = Response::new(Full::default());
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            answer.headers_mut().insert("retry-after", "0".parse().unwrap());
            return Ok(answer);
        }
        Fault::Page => {
            let mut answer = Response::new(Full::from("<html>Please log in</html>"));
            answer.headers_mut().insert("content-type", HeaderValue::from_static("text/html"));
            return Ok(answer);
        }
        Fault::Twice => drop(send(upstream, &parts, body.clone()).await?),
        Fault::None | Fault::LoseAnswer => {}
    }
    let answer = send(upstream, &parts, body).await?;
    if fault == Fault::LoseAnswer { lost() } else { Ok(answer) }
}

async fn send(
    upstream: SocketAddr,
    parts: &http::request::Parts,
    body: Bytes,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let stream = TcpStream::connect(upstream).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    let mut request = Request::from_parts(parts.clone(), Full::new(body));
    request.headers_mut().remove("transfer-encoding");
    let answer = tokio::time::timeout(Duration::from_secs(60), sender.send_request(request));
    let answer = answer.await.map_err(std::io::Error::other)?.map_err(std::io::Error::other)?;
    let (mut parts, body) = answer.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    parts.headers.remove("transfer-encoding");
    Ok(Response::from_parts(parts, Full::new(body)))
}
