//! What a request brings to say who asks.

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, COOKIE, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use subtle::ConstantTimeEq;

use super::Principal;
use crate::catalog::Key;
use crate::{ApiError, AppState};

impl FromRequestParts<AppState> for Principal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        Key::from_request_parts(parts, state).await.map(|key| key.principal())
    }
}

impl FromRequestParts<AppState> for Key {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let refuse = |why: &'static str| {
            let (method, path) = (&parts.method, parts.uri.path());
            tracing::warn!(target: "audit", %method, path, why, "not let in");
            Err(ApiError::new(StatusCode::UNAUTHORIZED, why))
        };
        if parts.headers.contains_key(AUTHORIZATION) {
            let Some(secret) = secret(&parts.headers) else {
                return refuse("Authorization is neither Basic base64(user:KEY) nor Bearer KEY");
            };
            return match state.catalog.key_of(&secret).await? {
                Some(key) => Ok(key),
                None => refuse("the API key is not known"),
            };
        }
        let Some(token) = session_token(&parts.headers, state) else {
            return refuse("the request has no API key");
        };
        let is_safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if !is_safe && !is_own_page(&parts.headers) {
            return refuse("a change by a browser session needs an Origin");
        }
        match state.catalog.key_of_session(&token).await? {
            Some(key) => Ok(key),
            None => refuse("the session has ended"),
        }
    }
}

/// Returns whether a browser says that a change was asked for by a page of this server.
///
/// A page elsewhere can make a browser send a change, but not without an `Origin`, and the guard
/// has refused every foreign one before.
pub(super) fn is_own_page(headers: &HeaderMap) -> bool {
    let is_same_origin = || headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin");
    headers.contains_key(ORIGIN) || is_same_origin()
}

/// Reads the secret of an `Authorization`. Only the password counts, whatever the user's name.
fn secret(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let credentials = String::from_utf8(BASE64_STANDARD.decode(rest.trim()).ok()?).ok()?;
    credentials.split_once(':').map(|(_, password)| password.to_owned())
}

/// Returns the token that a browser keeps for its session here.
pub(crate) fn session_token(headers: &HeaderMap, state: &AppState) -> Option<String> {
    let name = state.shared.signer.cookie_name();
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = values.flat_map(|value| value.split(';'));
    cookies.find_map(|cookie| {
        let (found, value) = cookie.trim().split_once('=')?;
        bool::from(found.as_bytes().ct_eq(name.as_bytes())).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        assert_eq!(secret(&headers).as_deref(), expected);
    }

    #[test]
    fn secrets() {
        check("Basic YXBpOmtleQ==", Some("key"));
        check("basic dXNlcjprOmV5", Some("k:ey"));
        check("Basic OmtleQ==", Some("key"));
        check("Bearer key", Some("key"));
        check("Basic a2V5", None);
        check("Basic !", None);
        check("Digest key", None);
        check("key", None);
    }
}
