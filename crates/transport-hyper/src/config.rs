use std::fmt;
use std::time::Duration;

use crate::ProxyConfig;

/// How a [`HyperTransport`](crate::HyperTransport) connects, and when it gives up.
///
/// `Debug` shows no proxy's password.
#[derive(Clone, Debug)]
pub struct HyperConfig {
    /// For finding the address, connecting, the proxy and the TLS handshake together. Past it, the
    /// request fails as [`Unreachable`](streamtable_transport::TransportError::Unreachable): nothing
    /// was sent. 10 s by default.
    pub connect_timeout: Duration,
    /// For the whole exchange, connecting and the last byte of the answer included. Past it, the
    /// request fails as [`Timeout`](streamtable_transport::TransportError::Timeout). A request may
    /// ask for less by [`AttemptTimeout`](streamtable_transport::AttemptTimeout). 60 s by default.
    pub request_timeout: Duration,
    /// A connection idle for longer is closed. 50 s by default: many load balancers drop it without
    /// a word after 60 s, and a request sent just then is lost.
    pub idle_timeout: Duration,
    /// A longer answer fails as
    /// [`BodyTooLarge`](streamtable_transport::TransportError::BodyTooLarge), whether it came
    /// compressed or not. 64 MiB by default.
    pub max_response_bytes: usize,
    /// A shorter body is sent as it is, even where
    /// [`GzipBody`](streamtable_transport::GzipBody) allows to compress it. 1 KiB by default.
    pub min_gzip_bytes: usize,
    /// Which requests go through a proxy. None by default.
    pub proxies: ProxyConfig,
    /// Who may vouch for a server. The platform's roots by default.
    pub roots: Roots,
}

impl HyperConfig {
    /// The defaults, and the proxies that the process environment names.
    pub fn from_env() -> Self {
        Self { proxies: ProxyConfig::from_env(), ..Self::default() }
    }
}

impl Default for HyperConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(50),
            max_response_bytes: 64 << 20,
            min_gzip_bytes: 1 << 10,
            proxies: ProxyConfig::default(),
            roots: Roots::default(),
        }
    }
}

/// The certificate authorities that may vouch for a server.
///
/// PEM is text with one or more `CERTIFICATE` sections.
#[derive(Clone, Default)]
pub enum Roots {
    /// Those of the operating system; on Linux also those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    ///
    /// A machine that has none can still speak plain http; https fails as
    /// [`Tls`](streamtable_transport::TransportError::Tls) and says why.
    #[default]
    Platform,
    /// Those of the operating system, and these in PEM.
    PlatformAnd(Vec<u8>),
    /// These in PEM, and no others.
    Only(Vec<u8>),
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => write!(f, "Platform"),
            Self::PlatformAnd(pem) => write!(f, "PlatformAnd({} bytes)", pem.len()),
            Self::Only(pem) => write!(f, "Only({} bytes)", pem.len()),
        }
    }
}

/// What is wrong with a [`HyperConfig`]. Never repeats a proxy's URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A proxy that requests would go through cannot be used.
    #[error("the {scheme} proxy {reason}")]
    Proxy {
        /// Whose proxy: that of `http` or that of `https` requests.
        scheme: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The PEM of [`Roots`] holds no certificate, or a damaged one.
    #[error("the PEM of the trusted roots {reason}")]
    Roots {
        /// What is wrong with it.
        reason: String,
    },
}
