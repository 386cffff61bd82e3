//! Whether the server is alive and ready, for those who run it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use streamtable_server_core::Core;
use streamtable_store::{FileStore, Store};

/// Needs no key: what it answers has no names, paths or rows in it.
pub(crate) fn router(core: Core, store: Arc<dyn Store>, files: Arc<dyn FileStore>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state((core, store, files))
}

#[derive(Serialize)]
struct Readiness {
    /// Whether requests are answered.
    ready: bool,
    /// Problems for the operator. A server with problems may still be ready.
    problems: Vec<String>,
    /// How many tables have problems with their stored data.
    tables_with_problems: usize,
    /// How many problems of each kind the stored rows and files have.
    store_problems: BTreeMap<&'static str, usize>,
}

type Stores = (Core, Arc<dyn Store>, Arc<dyn FileStore>);

async fn ready(State((core, store, files)): State<Stores>) -> impl IntoResponse {
    // What cannot be read is in the problems below, or passes.
    let can_read = core.catalog.has_keys().await.is_ok();
    let ready = can_read && !core.stopping.is_cancelled();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let health = store.health().await;
    let mut store_problems = BTreeMap::<&'static str, usize>::new();
    let files = files.problems();
    for problem in health.problems().map(|(_, problem)| problem).chain(&files) {
        *store_problems.entry(problem.kind.as_str()).or_default() += 1;
    }
    // Damage is no reason to take a server out of service that has all other rows.
    let readiness = Readiness {
        ready,
        problems: core.catalog.problems(),
        tables_with_problems: health.tables.len(),
        store_problems,
    };
    (status, Json(readiness))
}
