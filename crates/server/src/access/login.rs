//! Browser sessions.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use streamtable_server_core::{Core, form_value, is_own_page, session_token};

use crate::config::ServerConfig;
use crate::{ApiError, Key, page};

/// Maximum size of a login request.
const MAX_BODY: usize = 16 << 10;

/// State of the login's handlers.
#[derive(Clone)]
pub(crate) struct LoginState {
    pub(crate) core: Core,
    pub(crate) config: Arc<ServerConfig>,
}

pub(crate) fn router(state: LoginState) -> Router {
    let limit = axum::extract::DefaultBodyLimit::max(MAX_BODY);
    Router::new()
        .route("/login", get(show).post(log_in))
        .route("/logout", post(log_out))
        .layer(limit)
        .with_state(state)
}

/// Shows the login form or, for the token of a link, a button that starts the session.
///
/// Changes nothing: mail scanners and link previews also open links, and a foreign page can
/// navigate a browser here. A browser that is already logged in with the link's key is redirected
/// at once; with a used link, a browser that is logged in with any key. So a frame whose address is
/// a link survives a reload.
async fn show(
    State(state): State<LoginState>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = query.unwrap_or_default();
    let next = local_path(form_value(&query, "next"));
    let Some(token) = form_value(&query, "token") else {
        return Ok(page::login(StatusCode::OK, &next, None));
    };
    let own = match session_token(&headers, &state.core) {
        Some(session) => state.core.catalog.key_of_session(&session).await?,
        None => None,
    };
    match (state.core.catalog.key_of_login_token(&token).await?, own) {
        (None, None) => Ok(used_link(&next)),
        (Some(key), own) if own.as_ref().is_none_or(|own| own.id != key.id) => {
            Ok(page::confirm_login(&state.config, &token, &key, &next))
        }
        (_, _) => Ok((StatusCode::SEE_OTHER, [(LOCATION, next)]).into_response()),
    }
}

/// Starts the session of a login link. Accepts only requests of the link's own page.
async fn open_link(
    state: &LoginState,
    headers: &HeaderMap,
    token: &str,
    next: &str,
) -> Result<Response, ApiError> {
    if !is_own_page(headers) {
        tracing::warn!(target: "audit", "a login link was not opened by its own page");
        let why = "a login link must be opened with the button on its page";
        return Err(ApiError::new(StatusCode::FORBIDDEN, why));
    }
    match state.core.catalog.use_login_token(token).await? {
        Some(key) => begin(state, &key, next).await,
        None => Ok(used_link(next)),
    }
}

fn used_link(next: &str) -> Response {
    tracing::warn!(target: "audit", "a login link is used up or unknown");
    let why = "This link has been used or has expired. Enter your key instead.";
    page::login(StatusCode::UNAUTHORIZED, next, Some(why))
}

#[derive(Deserialize)]
struct Login {
    key: String,
}

/// Starts a session for a key, sent as a form or as JSON, or for the token of a link, sent as a
/// form.
async fn log_in(
    State(state): State<LoginState>,
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
    let found = state.core.catalog.key_of(secret.trim()).await?;
    if found.is_none() {
        tracing::warn!(target: "audit", "a login with an unknown key");
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
            let why = Some("This server does not know this key.");
            Ok(page::login(StatusCode::UNAUTHORIZED, &local_path(next), why))
        }
        (None, None) => Err(ApiError::new(StatusCode::UNAUTHORIZED, "unknown API key")),
    }
}

async fn log_out(
    State(state): State<LoginState>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if let Some(token) = session_token(&headers, &state.core) {
        state.core.catalog.end_session(&token).await?;
    }
    let cookie = format!("{}=; Path=/; Max-Age=0", state.core.signing_key.cookie_name());
    Ok((StatusCode::SEE_OTHER, [(SET_COOKIE, cookie), (LOCATION, "/login".to_owned())])
        .into_response())
}

async fn begin(state: &LoginState, key: &Key, next: &str) -> Result<Response, ApiError> {
    let cookie = new_cookie(state, key).await?;
    let location = HeaderValue::try_from(next)
        .map_err(|_| ApiError::bad_request("the address to continue at is not valid"))?;
    Ok((StatusCode::SEE_OTHER, [(SET_COOKIE, cookie), (LOCATION, location)]).into_response())
}

async fn new_cookie(state: &LoginState, key: &Key) -> Result<HeaderValue, ApiError> {
    let config = &state.config;
    let lifetime = config.limits.session_lifetime;
    let token = state.core.catalog.begin_session(key, lifetime).await?;
    let is_https = config.tls.is_some()
        || config.public_url.as_deref().is_some_and(|url| url.starts_with("https://"));
    let secure = if is_https { "; Secure" } else { "" };
    let (name, seconds) = (state.core.signing_key.cookie_name(), lifetime.as_secs());
    let cookie =
        format!("{name}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    let mut cookie = HeaderValue::try_from(cookie).expect("the cookie is a valid header value");
    cookie.set_sensitive(true);
    Ok(cookie)
}

/// Returns a path on this server to continue at; never a foreign URL, whatever the link contains.
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
    fn paths_to_continue_at() {
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
    }
}
