//! StreamTable's HTTP interface, independent of the HTTP implementation.
//!
//! A [`Transport`] turns one whole request into one whole response or a [`TransportError`].
//! [`TransportExt`] wraps any transport with headers, the [`ApiKey`] or tracing, and
//! [`AnyTransport`] erases its type. Per-request options are request extensions:
//! [`AttemptTimeout`], [`GzipBody`], [`Anonymous`].
//!
//! The feature `tower` adds `ServiceTransport`, which sends requests with a `tower` service.
//!
//! This crate opens no socket, starts no task and needs no async runtime. It does not retry either:
//! only the caller knows whether a request may be repeated.
//!
//! ```
//! use async_trait::async_trait;
//! use bytes::Bytes;
//! use futures_util::FutureExt;
//! use http::{Request, Response};
//! use streamtable_transport::{ApiKey, Transport, TransportError, TransportExt};
//!
//! /// Responds to every request with its own `Authorization`.
//! #[derive(Debug)]
//! struct Echo;
//!
//! #[async_trait]
//! impl Transport for Echo {
//!     async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
//!         let seen = request.headers().get("authorization");
//!         let seen = seen.map_or(Bytes::new(), |value| Bytes::copy_from_slice(value.as_bytes()));
//!         Ok(Response::new(seen))
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let key: ApiKey = "local-key".parse()?;
//!     let transport = Echo.with_auth("https://api.example".parse()?, &key).traced().erased();
//!
//!     let request = Request::get("https://api.example/graphql").body(Bytes::new())?;
//!     // Any runtime can wait for the response; this transport responds at once.
//!     let response = transport.send(request).now_or_never().expect("it is ready")?;
//!     assert_eq!(response.body(), "Basic YXBpOmxvY2FsLWtleQ==");
//!     Ok(())
//! }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod auth;
mod body;
mod error;
mod ext;
mod extensions;
mod headers;
mod key;
mod origin;
#[cfg(feature = "tower")]
mod service;
#[cfg(test)]
mod testing;
mod timer;
mod traced;
mod transport;

pub use auth::BasicAuth;
pub use body::Body;
pub use error::TransportError;
pub use ext::TransportExt;
pub use extensions::{Anonymous, AttemptTimeout, GzipBody};
pub use headers::Headers;
pub use key::{ApiKey, ApiKeyError};
pub use origin::Origin;
#[cfg(feature = "tower")]
pub use service::ServiceTransport;
pub use timer::Timer;
pub use traced::Traced;
pub use transport::{AnyTransport, Transport};

// Part of the signatures, so that an implementation needs no dependencies of its own on them.
pub use async_trait::async_trait;
pub use {bytes, http};
