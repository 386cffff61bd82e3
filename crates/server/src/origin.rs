//! The URL under which a client reaches the server.

use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::authority::Authority;
use crate::{ApiError, AppState};

/// The URL under which the client of a request reaches the server, without a slash at the end:
/// the configured one, else the authority to which the client sent the request.
///
/// `Forwarded` and `X-Forwarded-*` are never read: any client can send them.
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
        let authority = Authority::of_request(&parts.uri, &parts.headers)
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        Ok(Self(format!("{scheme}://{authority}")))
    }
}
