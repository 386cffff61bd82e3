use std::sync::Arc;

use http::Uri;
use hyper::rt::{Read, Write};
use hyper_rustls::HttpsConnector;
pub(crate) use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::Connection;
use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;
use tower_service::Service;

use crate::cause::BoxError;
use crate::existing::ExistingConnection;
use crate::{ConfigError, Roots};

/// Why https is not possible without a [`Tls`].
pub(crate) const NOT_POSSIBLE: &str =
    "this machine has no trusted root certificates; install them or set HyperConfig::roots";

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    Server,
    Proxy,
}

/// The rustls configurations for servers and for proxies.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    /// Offers HTTP/2, with the feature `http2`, and HTTP/1.1.
    server: Arc<ClientConfig>,
    /// Offers no ALPN protocol, so HTTP/1.1 is used: `CONNECT` tunnels need it.
    proxy: Arc<ClientConfig>,
}

impl Tls {
    /// Returns `None` on a machine without roots. That is an error only for https requests, so that
    /// plain http works without roots.
    pub(crate) fn new(roots: &Roots) -> Result<Option<Self>, ConfigError> {
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match roots {
            Roots::Only(pem) => {
                let mut store = rustls::RootCertStore::empty();
                for certificate in certificates(pem)? {
                    store.add(certificate).map_err(damaged)?;
                }
                WebPkiServerVerifier::builder_with_provider(store.into(), provider.clone())
                    .build()
                    .map_err(damaged)?
            }
            Roots::PlatformAnd(pem) => {
                let extra = certificates(pem)?;
                let verifier = Verifier::new_with_extra_roots(extra, provider.clone());
                Arc::new(verifier.map_err(damaged)?)
            }
            Roots::Platform => match Verifier::new(provider.clone()) {
                Ok(verifier) => Arc::new(verifier),
                Err(_) => return Ok(None),
            },
        };
        Ok(Some(Self::with(provider, verifier)))
    }

    /// Adds TLS to a connection.
    pub(crate) async fn secure<T>(
        &self,
        io: T,
        uri: &Uri,
        peer: Peer,
    ) -> Result<MaybeHttpsStream<T>, BoxError>
    where
        T: Connection + Read + Write + Send + Unpin + 'static,
    {
        let config = match peer {
            Peer::Server => &self.server,
            Peer::Proxy => &self.proxy,
        };
        HttpsConnector::from((ExistingConnection::new(io), config.clone())).call(uri.clone()).await
    }

    fn with(provider: Arc<CryptoProvider>, verifier: Arc<dyn ServerCertVerifier>) -> Self {
        let proxy = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        let mut server = proxy.clone();
        let protocols: &[&[u8]] =
            if cfg!(feature = "http2") { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        server.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Self { server: Arc::new(server), proxy: Arc::new(proxy) }
    }
}

/// Returns a configuration for TLS with a server that speaks another protocol than HTTP; `None` on a
/// machine without roots.
pub fn client_tls(roots: &Roots) -> Result<Option<Arc<ClientConfig>>, ConfigError> {
    Ok(Tls::new(roots)?.map(|tls| tls.proxy))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(none) if none.is_empty() => {
            Err(ConfigError::Roots { reason: "holds no certificate".to_owned() })
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(damaged(error)),
    }
}

fn damaged(error: impl std::error::Error) -> ConfigError {
    ConfigError::Roots { reason: format!("is damaged: {error}") }
}
