//! The credentials of a request.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::{AUTHORIZATION, COOKIE, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use subtle::ConstantTimeEq;

use crate::{ApiError, Core, Key, Principal};

impl<S: Send + Sync> FromRequestParts<S> for Principal
where
    Core: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Key::from_request_parts(parts, state).await.map(|key| key.principal())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Key
where
    Core: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let core = Core::from_ref(state);
        let refuse = |why: &'static str| {
            let (method, path) = (&parts.method, parts.uri.path());
            tracing::warn!(target: "audit", %method, path, why, "unauthorized");
            Err(ApiError::new(StatusCode::UNAUTHORIZED, why))
        };
        if parts.headers.contains_key(AUTHORIZATION) {
            let Some(secret) = secret(&parts.headers) else {
                return refuse("Authorization is neither Basic base64(user:KEY) nor Bearer KEY");
            };
            return match core.catalog.key_of(&secret).await? {
                Some(key) => Ok(key),
                None => refuse("unknown API key"),
            };
        }
        let Some(token) = session_token(&parts.headers, &core) else {
            return refuse("the request has no API key");
        };
        let is_safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if !is_safe && !is_own_page(&parts.headers) {
            return refuse("a change in a browser session requires an Origin header");
        }
        match core.catalog.key_of_session(&token).await? {
            Some(key) => Ok(key),
            None => refuse("the session has expired"),
        }
    }
}

/// Returns whether a page of this server caused a request, according to the browser.
///
/// A foreign page can make a browser send a change, but not without an `Origin`, and the guard has
/// already rejected every foreign `Origin`.
pub fn is_own_page(headers: &HeaderMap) -> bool {
    let is_same_origin = || headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin");
    headers.contains_key(ORIGIN) || is_same_origin()
}

/// Returns the secret of an `Authorization` header. The user name is ignored.
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

/// Returns the token of the browser's session cookie.
pub fn session_token(headers: &HeaderMap, core: &Core) -> Option<String> {
    let name = core.signing_key.cookie_name();
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
