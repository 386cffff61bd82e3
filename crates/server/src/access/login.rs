//! Browser sessions.

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::credentials::is_own_page;
use super::session_token;
use crate::catalog::Key;
use crate::page;
use crate::{ApiError, AppState};

/// The longest body of a login.
const MAX_BODY: usize = 16 << 10;

pub(crate) fn router() -> Router<AppState> {
    let limit = axum::extract::DefaultBodyLimit::max(MAX_BODY);
    Router::new()
        .route("/login", get(show).post(log_in))
        .route("/logout", post(log_out))
        .layer(limit)
}

/// Shows a form for a key; or, with the token of a link, a button that begins the session.
///
/// Changes nothing: mail scanners and link previews open links too, and a page elsewhere can send a
/// browser here. A browser that is logged in with the link's key already goes on at once.
async fn show(
    State(state): State<AppState>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = query.unwrap_or_default();
    let next = local_path(form_value(&query, "next"));
    let Some(token) = form_value(&query, "token") else {
        return Ok(page::login(StatusCode::OK, &next, None));
    };
    let Some(key) = state.catalog.key_of_login_token(&token).await? else {
        return Ok(used_link(&next));
    };
    if let Some(session) = session_token(&headers, &state)
        && state.catalog.key_of_session(&session).await?.is_some_and(|own| own.id == key.id)
    {
        return Ok((StatusCode::SEE_OTHER, [(LOCATION, next)]).into_response());
    }
    Ok(page::confirm_login(state.config(), &token, &key, &next))
}

/// Begins the session of a link, for its own page alone.
async fn open_link(
    state: &AppState,
    headers: &HeaderMap,
    token: &str,
    next: &str,
) -> Result<Response, ApiError> {
    if !is_own_page(headers) {
        tracing::warn!(target: "audit", "a login link was not opened by its own page");
        let why = "a login link is opened by the button of its page";
        return Err(ApiError::new(StatusCode::FORBIDDEN, why));
    }
    match state.catalog.use_login_token(token).await? {
        Some(key) => begin(state, &key, next).await,
        None => Ok(used_link(next)),
    }
}

fn used_link(next: &str) -> Response {
    tracing::warn!(target: "audit", "a login link that is used up or not known");
    let why = "This link has been used, or is too old. Give your key instead.";
    page::login(StatusCode::UNAUTHORIZED, next, Some(why))
}

#[derive(Deserialize)]
struct Login {
    key: String,
}

/// Begins a session for a key, in a form or in JSON; or for the token of a link, in a form.
async fn log_in(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_json = content_type.is_some_and(|value| value.starts_with("application/json"));
    let (secret, next) = if is_json {
        let login: Login = serde_json::from_slice(&body)
            .map_err(|_| ApiError::bad_request("expected {\"key\": \"…\"}"))?;
        (login.key, None)
    } else {
        let form = std::str::from_utf8(&body).unwrap_or_default();
        if let Some(token) = form_value(form, "token") {
            let next = local_path(form_value(form, "next"));
            return open_link(&state, &headers, &token, &next).await;
        }
        (form_value(form, "key").unwrap_or_default(), Some(form_value(form, "next")))
    };
    let found = state.catalog.key_of(secret.trim()).await?;
    if found.is_none() {
        tracing::warn!(target: "audit", "a login with a key that is not known");
    }
    match (found, next) {
        (Some(key), Some(next)) => begin(&state, &key, &local_path(next)).await,
        (Some(key), None) => {
            let cookie = new_cookie(&state, &key).await?;
            let body = serde_json::json!({
                "name": key.name,
                "entity": key.entity,
                "right": key.right.as_str(),
            });
            Ok(([(SET_COOKIE, cookie)], Json(body)).into_response())
        }
        (None, Some(next)) => {
            let why = Some("This key is not known here.");
            Ok(page::login(StatusCode::UNAUTHORIZED, &local_path(next), why))
        }
        (None, None) => Err(ApiError::new(StatusCode::UNAUTHORIZED, "the API key is not known")),
    }
}

async fn log_out(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, ApiError> {
    if let Some(token) = session_token(&headers, &state) {
        state.catalog.end_session(&token).await?;
    }
    let cookie = format!("{}=; Path=/; Max-Age=0", state.shared.signer.cookie_name());
    Ok((StatusCode::SEE_OTHER, [(SET_COOKIE, cookie), (LOCATION, "/login".to_owned())])
        .into_response())
}

async fn begin(state: &AppState, key: &Key, next: &str) -> Result<Response, ApiError> {
    let cookie = new_cookie(state, key).await?;
    let location = HeaderValue::try_from(next)
        .map_err(|_| ApiError::bad_request("the address to go on to is none"))?;
    Ok((StatusCode::SEE_OTHER, [(SET_COOKIE, cookie), (LOCATION, location)]).into_response())
}

async fn new_cookie(state: &AppState, key: &Key) -> Result<HeaderValue, ApiError> {
    let config = state.config();
    let lifetime = config.limits.session_lifetime;
    let token = state.catalog.begin_session(key, lifetime).await?;
    let is_https = config.tls.is_some()
        || config.public_url.as_deref().is_some_and(|url| url.starts_with("https://"));
    let secure = if is_https { "; Secure" } else { "" };
    let (name, seconds) = (state.shared.signer.cookie_name(), lifetime.as_secs());
    let cookie =
        format!("{name}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    let mut cookie = HeaderValue::try_from(cookie).expect("a cookie of ours is a header's value");
    cookie.set_sensitive(true);
    Ok(cookie)
}

/// Returns a value of a form.
pub(crate) fn form_value(form: &str, name: &str) -> Option<String> {
    let mut pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(found, _)| *found == name)?;
    streamtable_url::form_decode(value).ok()
}

/// Returns a place on this server to go on to, whatever a link asks for.
fn local_path(wanted: Option<String>) -> String {
    let is_local = |path: &String| {
        path.starts_with('/')
            && !path.starts_with("//")
            && !path.contains(|c: char| c == '\\' || c.is_control() || !c.is_ascii())
    };
    wanted.filter(is_local).unwrap_or_else(|| "/".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_go_on_to() {
        #[track_caller]
        fn check(wanted: &str, expected: &str) {
            assert_eq!(local_path(Some(wanted.to_owned())), expected);
        }
        check("/?exp=get%28", "/?exp=get%28");
        for foreign in ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb"]
        {
            check(foreign, "/");
        }
        assert_eq!(local_path(None), "/");
        assert_eq!(form_value("a=b&key=x%20y+z&key=2", "key").as_deref(), Some("x y z"));
        assert_eq!(form_value("a=b", "key"), None);
    }
}
