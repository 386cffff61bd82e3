//! The URL under which a client reaches the server.

use std::fmt;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;

use crate::{ApiError, Authority, Core};

/// How a server derives the URL under which clients reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseUrlConfig {
    /// The configured URL. It may have a trailing slash.
    pub public_url: Option<String>,
    /// Whether the server itself does TLS.
    pub has_tls: bool,
}

/// The URL under which the client of a request reaches the server, without a trailing slash: the
/// configured one, otherwise the authority to which the client sent the request.
///
/// `Forwarded` and `X-Forwarded-*` are never read: any client can send them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(pub String);

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for BaseUrl
where
    Core: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let config = Core::from_ref(state).base_url;
        if let Some(public) = &config.public_url {
            return Ok(Self(public.trim_end_matches('/').to_owned()));
        }
        let authority = Authority::of_request(&parts.uri, &parts.headers)
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        let scheme = if config.has_tls { "https" } else { "http" };
        Ok(Self(format!("{scheme}://{authority}")))
    }
}
