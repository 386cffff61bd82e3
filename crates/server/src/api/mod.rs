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
use streamtable_wire::api as wire;

use crate::{boards, live, monitors};

pub(crate) use query::{answer, named as format_named};
pub(crate) use state::ApiState;

/// The writer of a body's rows; together with [`STREAM_OFFSET`] makes repeated requests idempotent.
const STREAM_WRITER: HeaderName = HeaderName::from_static(wire::STREAM_WRITER);

/// The line number of a body's first row.
const STREAM_OFFSET: HeaderName = HeaderName::from_static(wire::STREAM_OFFSET);

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
    ("/api/monitors/{entity}/{project}", Method::GET, || get(monitors::list)),
    ("/api/monitors/{entity}/{project}", Method::POST, || post(monitors::test_document)),
    ("/api/monitors/{entity}/{project}/{name}", Method::GET, || get(monitors::get)),
    ("/api/monitors/{entity}/{project}/{name}", Method::PUT, || put(monitors::put)),
    ("/api/monitors/{entity}/{project}/{name}", Method::DELETE, || delete(monitors::delete)),
    ("/api/monitors/{entity}/{project}/{name}/state", Method::GET, || get(monitors::state)),
    ("/api/monitors/{entity}/{project}/{name}/test", Method::POST, || post(monitors::test)),
    ("/api/monitors/{entity}/{project}/{name}/silence", Method::POST, || post(monitors::silence)),
    ("/api/monitors/{entity}/{project}/{name}/silence", Method::DELETE, || {
        delete(monitors::unsilence)
    }),
    ("/api/monitors/{entity}/{project}/{name}/versions", Method::GET, || get(monitors::versions)),
    ("/api/query", Method::POST, || post(query::query)),
    ("/api/targets/{entity}/{project}", Method::GET, || get(monitors::targets)),
    ("/api/targets/{entity}/{project}/{name}", Method::GET, || get(monitors::get_target)),
    ("/api/targets/{entity}/{project}/{name}", Method::PUT, || put(monitors::put_target)),
    ("/api/targets/{entity}/{project}/{name}", Method::DELETE, || delete(monitors::delete_target)),
    ("/api/targets/{entity}/{project}/{name}/test", Method::POST, || post(monitors::test_target)),
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
