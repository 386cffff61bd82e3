//! Whether the server is alive and ready, for those who run it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use crate::AppState;

/// Needs no key: what it answers has no names, paths or rows in it.
pub(crate) fn router() -> Router<AppState> {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready))
}

#[derive(Serialize)]
struct Readiness {
    /// Whether requests are answered.
    ready: bool,
    /// What somebody should look at. A server may be ready nevertheless.
    problems: Vec<String>,
}

async fn ready(State(state): State<AppState>) -> impl IntoResponse {
    // What cannot be read is in the problems below, or passes.
    let can_read = state.catalog.has_keys().await.is_ok();
    let ready = can_read && !state.shared.stopping.is_cancelled();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, problems: state.catalog.problems() }))
}
