//! The default transport of StreamTable: hyper and rustls on tokio.
//!
//! [`HyperTransport`] speaks HTTP/1.1 with keep-alive and, if the server offers it, HTTP/2. It
//! trusts the platform's roots, uses the usual proxy variables, and limits the time to connect, the
//! time of the whole exchange and the size of the response: see [`HyperConfig`].
//!
//! It follows no redirects, keeps no cookies and never sends a request twice. The cryptography is
//! ring's, passed to rustls by value: nothing process-wide is installed.
//!
//! | feature | adds |
//! | --- | --- |
//! | `gzip` (default) | compressed responses and, if the caller allows it, requests |
//! | `http2` (default) | HTTP/2 with servers that offer it over TLS |
//! | `proxy` (default) | requests through proxies, as the usual variables say |
//! | `tls` (default) | https |
//!
//! With `default-features = false`, the transport reaches plain `http://` servers, such as one on this
//! machine, and its dependency tree has no TLS and no C code.
//!
//! ```no_run
//! use bytes::Bytes;
//! use http::Request;
//! use streamtable_transport::{Transport, TransportExt};
//! use streamtable_transport_hyper::HyperTransport;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let transport = HyperTransport::new()?.traced();
//!     let request = Request::get("https://example.com").body(Bytes::new())?;
//!     let response = transport.send(request).await?;
//!     println!("{}, {} bytes", response.status(), response.body().len());
//!     Ok(())
//! }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod addresses;
mod body;
mod cause;
mod config;
mod connect;
#[cfg(any(feature = "proxy", feature = "tls"))]
mod existing;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(not(feature = "gzip"))]
#[path = "no_gzip.rs"]
mod gzip;
#[cfg(any(test, not(feature = "proxy")))]
mod no_proxy;
mod pools;
#[cfg(feature = "proxy")]
mod proxy;
mod proxy_config;
mod timer;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
mod transport;

pub use addresses::{Addresses, is_public};
pub use config::{ConfigError, HyperConfig, Roots};
pub use proxy_config::ProxyConfig;
pub use timer::TokioTimer;
#[cfg(feature = "tls")]
pub use tls::client_tls;
pub use transport::HyperTransport;

#[cfg(not(feature = "proxy"))]
use no_proxy as proxy;
