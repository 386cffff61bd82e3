use std::fmt;
use std::time::Duration;

use crate::{Addresses, ProxyConfig};

/// How a [`HyperTransport`](crate::HyperTransport) connects, and its limits.
///
/// `Debug` does not show proxy passwords.
#[derive(Clone, Debug)]
pub struct HyperConfig {
    /// Limit for DNS, connecting, the proxy and the TLS handshake together. After it, the request
    /// fails as [`Unreachable`](streamtable_transport::TransportError::Unreachable): nothing was
    /// sent. 10 s by default.
    pub connect_timeout: Duration,
    /// Limit for the whole exchange, from connecting to the last byte of the response. After it,
    /// the request fails as [`Timeout`](streamtable_transport::TransportError::Timeout). A request
    /// may lower it by [`AttemptTimeout`](streamtable_transport::AttemptTimeout). 60 s by default.
    pub request_timeout: Duration,
    /// A connection that is idle for longer is closed. 50 s by default: many load balancers
    /// silently drop a connection after 60 s, and a request sent at that moment is lost.
    pub idle_timeout: Duration,
    /// Limit for the size of a response body, before and after decompression. A longer response
    /// fails as [`BodyTooLarge`](streamtable_transport::TransportError::BodyTooLarge). 64 MiB by
    /// default.
    pub max_response_bytes: usize,
    /// A shorter request body is sent uncompressed, even if
    /// [`GzipBody`](streamtable_transport::GzipBody) allows compression. 1 KiB by default.
    pub min_gzip_bytes: usize,
    /// Which requests go through a proxy. None by default.
    pub proxies: ProxyConfig,
    /// The trusted certificate authorities. The platform's roots by default.
    pub roots: Roots,
    /// To which addresses the transport connects; others fail as
    /// [`Unreachable`](streamtable_transport::TransportError::Unreachable). To all by default. What a
    /// proxy connects to is not checked.
    pub addresses: Addresses,
}

impl HyperConfig {
    /// Returns the defaults, with the proxies from the environment variables.
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
            addresses: Addresses::default(),
        }
    }
}

/// The trusted certificate authorities.
///
/// PEM is text with one or more `CERTIFICATE` sections.
#[derive(Clone, Default)]
pub enum Roots {
    /// The roots of the operating system; on Linux also `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    ///
    /// A machine without roots can still use plain http; https fails as
    /// [`Tls`](streamtable_transport::TransportError::Tls) with the reason.
    #[default]
    Platform,
    /// The roots of the operating system and these in PEM.
    PlatformAnd(Vec<u8>),
    /// Only these, in PEM.
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

/// An error in a [`HyperConfig`]. Never contains a proxy's URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A configured proxy cannot be used.
    #[error("the {scheme} proxy {reason}")]
    Proxy {
        /// The scheme of the requests that would use the proxy: `http` or `https`.
        scheme: &'static str,
        /// The reason.
        reason: &'static str,
    },
    /// The PEM of [`Roots`] has no certificate, or a damaged one.
    #[error("the PEM of the trusted roots {reason}")]
    Roots {
        /// The reason.
        reason: String,
    },
}
