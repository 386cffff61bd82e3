use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use streamtable_transport::{Transport as _, TransportError};
use streamtable_transport_hyper::{ConfigError, HyperConfig, HyperTransport, Roots};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::script::{Server, Step};
use crate::{get, run, send, transport};

/// A server for `localhost` and `table.example` that responds with the path.
pub(crate) struct TlsServer {
    pub(crate) address: SocketAddr,
    /// Its self-signed certificate.
    pub(crate) pem: Vec<u8>,
}

impl TlsServer {
    pub(crate) async fn start(protocols: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (certificate, key) = self_signed(address);
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not trust this server closes the connection.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service_fn(path)).await;
                });
            }
        });
        Self { address, pem: certificate.pem().into_bytes() }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/rows", self.address.port())
    }
}

/// Issued under its own name, as real certificates are.
fn self_signed(address: SocketAddr) -> (rcgen::Certificate, PrivateKeyDer<'static>) {
    let names = ["localhost".to_owned(), "table.example".to_owned()];
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, address.to_string());
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

async fn path(
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    Ok(Response::new(Full::from(request.uri().path().to_owned())))
}

fn trusting(pem: &[u8]) -> HyperTransport {
    transport(HyperConfig { roots: Roots::Only(pem.to_vec()), ..HyperConfig::default() })
}

#[track_caller]
fn check(protocols: &[&str], expected: Version) {
    let answer = run(async {
        let server = TlsServer::start(protocols).await;
        trusting(&server.pem).send(get(server.url())).await.unwrap()
    });
    assert_eq!((answer.version(), &answer.body()[..]), (expected, &b"/rows"[..]));
}

#[test]
fn the_server_chooses_the_version() {
    check(&["h2", "http/1.1"], Version::HTTP_2);
    check(&["http/1.1"], Version::HTTP_11);
    check(&[], Version::HTTP_11);
}

#[tokio::test]
async fn concurrent_requests_share_http2() {
    let server = TlsServer::start(&["h2"]).await;
    let transport = Arc::new(trusting(&server.pem));
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (transport, request) = (transport.clone(), get(server.url()));
        sending.spawn(async move { transport.send(request).await.map(|answer| answer.status()) });
    }
    for status in sending.join_all().await {
        assert_eq!(status.unwrap(), 200);
    }
}

#[track_caller]
fn refused(error: TransportError, expected: &str) {
    assert!(!error.is_retryable() && !error.may_have_arrived(), "{error:?}");
    let TransportError::Tls { reason, .. } = error else { panic!("{error:?}") };
    assert!(reason.starts_with(expected), "{reason}");
}

#[tokio::test]
async fn an_untrusted_server_is_refused() {
    let (server, other) = (TlsServer::start(&["h2"]).await, TlsServer::start(&["h2"]).await);
    let unknown =
        "invalid peer certificate: UnknownIssuer; trust its issuer on this machine or through";

    let transport_of_other = trusting(&other.pem);
    refused(transport_of_other.send(get(server.url())).await.unwrap_err(), unknown);

    let roots = Roots::PlatformAnd(other.pem.clone());
    let platform = transport(HyperConfig { roots, ..HyperConfig::default() });
    refused(platform.send(get(server.url())).await.unwrap_err(), unknown);
    let by_extra_root = platform.send(get(other.url())).await.unwrap();
    assert_eq!(by_extra_root.status(), 200);

    let by_address = get(format!("https://{}/", server.address));
    let wrong_name = trusting(&server.pem).send(by_address).await.unwrap_err();
    refused(wrong_name, "invalid peer certificate: certificate not valid for name \"127.0.0.1\"");
}

#[track_caller]
fn check_roots(pem: &str, expected: &str) {
    for roots in [Roots::Only(pem.into()), Roots::PlatformAnd(pem.into())] {
        let config = HyperConfig { roots, ..HyperConfig::default() };
        let error = HyperTransport::with_config(config).unwrap_err();
        assert!(matches!(error, ConfigError::Roots { .. }), "{error:?}");
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[test]
fn roots_must_be_certificates() {
    check_roots("", "the PEM of the trusted roots holds no certificate");
    check_roots("hello", "the PEM of the trusted roots holds no certificate");
    let begin = "-----BEGIN CERTIFICATE-----\n";
    check_roots(begin, "the PEM of the trusted roots is damaged: ");
    let noise = format!("{begin}aGVsbG8=\n-----END CERTIFICATE-----\n");
    check_roots(&noise, "the PEM of the trusted roots is damaged: ");
}

/// The roots come from the environment variables, so this needs a process of its own.
#[cfg(target_os = "linux")]
#[test]
fn plain_http_works_without_roots() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tls::without_roots", "--ignored"])
        .env("SSL_CERT_FILE", "/dev/null")
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && shown.contains("1 passed"), "{shown}");
}

#[ignore = "run by plain_http_works_without_roots"]
#[tokio::test]
async fn without_roots() {
    let (server, plain) =
        (TlsServer::start(&[]).await, Server::start(vec![vec![Step::ok("a")]]).await);
    let transport = transport(HyperConfig::default());
    assert_eq!(send(&transport, get(plain.url())).await, "200 a");
    let error = transport.send(get(server.url())).await.unwrap_err();
    refused(error, "this machine has no trusted root certificates; install them or set");
}
