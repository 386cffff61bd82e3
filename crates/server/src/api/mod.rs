//! The native API: append and read rows and run SQL queries without an SDK.
//!
//! [`ROUTES`] lists all of it; `openapi.json` describes the same routes.

mod encode;
mod extract;
mod ingest;
mod openapi;
mod pager;
mod query;
mod read;
mod state;
mod tables;
mod tail;

use axum::Router;
use axum::routing::{MethodRouter, delete, get, post, put};
use http::{HeaderName, Method};

use crate::{boards, live};

pub(crate) use query::{answer, named as format_named};
pub(crate) use state::ApiState;

/// The writer of a body's rows; together with [`STREAM_OFFSET`] makes repeated requests idempotent.
const STREAM_WRITER: HeaderName = HeaderName::from_static("stream-writer");

/// The line number of a body's first row.
const STREAM_OFFSET: HeaderName = HeaderName::from_static("stream-offset");

/// In responses: one more than the position of the table's last row.
const STREAM_END: HeaderName = HeaderName::from_static("stream-end");

/// A path, a method and a handler.
type Route = (&'static str, Method, fn() -> MethodRouter<ApiState>);

/// All routes.
const ROUTES: &[Route] = &[
    ("/api/openapi.json", Method::GET, || get(openapi::document)),
    ("/api/boards/{entity}/{project}", Method::GET, || get(boards::list)),
    ("/api/boards/{entity}/{project}/{name}", Method::GET, || get(boards::get)),
    ("/api/boards/{entity}/{project}/{name}", Method::PUT, || put(boards::put)),
    ("/api/boards/{entity}/{project}/{name}", Method::DELETE, || delete(boards::delete)),
    ("/api/boards/{entity}/{project}/{name}/rename", Method::POST, || post(boards::rename)),
    ("/api/boards/{entity}/{project}/{name}/versions", Method::GET, || get(boards::versions)),
    ("/api/live", Method::GET, || get(live::live)),
    ("/api/query", Method::POST, || post(query::query)),
    ("/api/tables", Method::GET, || get(tables::list)),
    ("/api/tables/{entity}/{project}/{table}", Method::GET, || get(tables::table)),
    ("/api/tables/{entity}/{project}/{table}/board", Method::GET, || get(live::first_board)),
    ("/api/tables/{entity}/{project}/{table}/templates", Method::GET, || get(live::templates)),
    ("/api/tables/{entity}/{project}/{table}/export", Method::POST, || post(live::export)),
    ("/api/tables/{entity}/{project}/{table}/rows", Method::GET, || get(read::rows)),
    ("/api/tables/{entity}/{project}/{table}/rows", Method::POST, || post(ingest::append)),
    ("/api/tables/{entity}/{project}/{table}/schema", Method::GET, || get(tables::schema)),
    ("/api/tables/{entity}/{project}/{table}/tail", Method::GET, || get(tail::tail)),
];

/// Returns the router of the native API.
pub(crate) fn router(state: ApiState) -> Router {
    let routes = ROUTES.iter();
    routes
        .fold(Router::new(), |router, (path, _, route)| router.route(path, route()))
        .with_state(state)
}
