//! The URL under which a client reaches the server.

use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::header::HOST;
use axum::http::request::Parts;

use crate::{ApiError, AppState};

/// The URL under which the client of a request reaches the server, without a slash at the end:
/// the configured one, else what the client called it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaseUrl(pub(crate) String);

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromRequestParts<AppState> for BaseUrl {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let config = state.config();
        if let Some(public) = &config.public_url {
            return Ok(Self(public.trim_end_matches('/').to_owned()));
        }
        let authority = parts.uri.authority().map(|authority| authority.as_str());
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = authority.or(host);
        let host = host.ok_or_else(|| ApiError::bad_request("the request names no host"))?;
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        Ok(Self(format!("{scheme}://{host}")))
    }
}
