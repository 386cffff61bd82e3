//! Web pages: the board's page for tables, boards and lists of them, for monitors, and for runs and
//! artifacts of W&B clients; small pages for errors; the login form.

mod app;
mod html;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, FromRequestParts, Path, RawQuery, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use percent_encoding::percent_decode_str;
use streamtable_schema::TablePath;
use streamtable_server_core::{Core, form_value};
use streamtable_store::Store;
use streamtable_url::{Expr, LinkError, form_encode, parse_query, table_of_path};

use crate::config::ServerConfig;
use crate::{ApiError, Key, Principal, Right};
use app::{Frame, Start};
use html::{Html, escape};

const STYLE: &str = include_str!("style.css");

/// Placeholder for the parts of a table's name that a list does not have.
const ANY: &str = "any";

/// State of the pages' handlers.
#[derive(Clone)]
pub(crate) struct PageState {
    pub(crate) core: Core,
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) store: Arc<dyn Store>,
    #[cfg(feature = "wandb")]
    pub(crate) wandb: streamtable_wandb::Wandb,
}

impl FromRef<PageState> for Core {
    fn from_ref(state: &PageState) -> Self {
        state.core.clone()
    }
}

pub(crate) fn router(state: PageState) -> Router {
    Router::new()
        .route("/", get(open))
        .route("/embed", get(embed))
        .route("/{entity}", get(of_entity))
        .route("/{entity}/{project}", get(of_project))
        .route("/{entity}/{project}/boards/{board}", get(board))
        .route("/{entity}/{project}/monitors", get(monitors))
        .route("/{entity}/{project}/monitors/{monitor}", get(monitors))
        .route("/assets/{path}", get(app::asset))
        .route("/style.css", get(style))
        .merge(runs_router())
        .with_state(state)
}

/// Lets only those who may write to an entity open pages; others are asked for a key.
pub(crate) fn for_writers(core: Core, entity: String, pages: Router) -> Router {
    pages.layer(from_fn_with_state((core, entity), only_writers))
}

async fn only_writers(
    State((core, entity)): State<(Core, String)>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let principal = Principal::from_request_parts(&mut parts, &core).await;
    let Some(principal) = known(principal)? else { return Ok(ask_for_key(&parts.uri)) };
    if !principal.may(Right::Write, &entity) {
        return Ok(nothing(&format!("There is nothing at {}", parts.uri.path())));
    }
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// The pages of runs and artifacts, which read the W&B protocol's API.
#[cfg(feature = "wandb")]
fn runs_router() -> Router<PageState> {
    let mut router = Router::new();
    for page in ["runs", "artifacts"] {
        let path = format!("/{{entity}}/{{project}}/{page}");
        router = router.route(&path, get(runs)).route(&format!("{path}/{{*rest}}"), get(runs));
    }
    router
}

#[cfg(not(feature = "wandb"))]
fn runs_router() -> Router<PageState> {
    Router::new()
}

async fn style() -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"))], STYLE).into_response()
}

/// Opens a link, `/?exp=…`; without an expression, lists the tables.
async fn open(
    State(state): State<PageState>,
    principal: Result<Principal, ApiError>,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let expr = match parse_query(query.as_deref().unwrap_or_default()) {
        Ok(expr) => Some(expr),
        Err(LinkError::NoExpression) => None,
        Err(error) => return Ok(wrong_expression(&error)),
    };
    let Some(principal) = known(principal)? else { return Ok(ask_for_key(&uri)) };
    match expr {
        Some(expr) => show_table(&state, &principal, &expr, Frame::Never).await,
        None => Ok(home(&state, &principal, "Tables and boards", None, None)),
    }
}

/// Opens a table or a board for a frame, `/embed?exp=…` or `/embed?board=entity/project/board`.
async fn embed(
    State(state): State<PageState>,
    principal: Result<Principal, ApiError>,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = query.unwrap_or_default();
    let board = form_value(&query, "board");
    let expr = match (&board, parse_query(&query)) {
        (Some(_), _) => None,
        (None, Ok(expr)) => Some(expr),
        (None, Err(LinkError::NoExpression)) => {
            return Err(ApiError::bad_request("give a table's `exp` or a `board`"));
        }
        (None, Err(error)) => return Ok(wrong_expression(&error)),
    };
    let Some(principal) = known(principal)? else { return Ok(ask_for_key(&uri)) };
    if let Some(expr) = expr {
        return show_table(&state, &principal, &expr, Frame::Allowed).await;
    }
    let board = board.unwrap_or_default();
    let parts: Vec<&str> = board.split('/').collect();
    let [entity, project, name] = parts[..] else {
        return Err(ApiError::bad_request("a board is entity/project/board"));
    };
    Ok(show_board(&state, &principal, [entity, project, name], Frame::Allowed))
}

/// Lists the tables and boards of an entity.
async fn of_entity(
    State(state): State<PageState>,
    principal: Result<Principal, ApiError>,
    Path(entity): Path<String>,
    uri: Uri,
) -> Response {
    list(&state, principal, &uri, &entity, None)
}

/// Lists the tables and boards of a project.
async fn of_project(
    State(state): State<PageState>,
    principal: Result<Principal, ApiError>,
    Path((entity, project)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    list(&state, principal, &uri, &entity, Some(&project))
}

fn list(
    state: &PageState,
    principal: Result<Principal, ApiError>,
    uri: &Uri,
    entity: &str,
    project: Option<&str>,
) -> Response {
    let principal = match reader_of(principal, uri, entity, project.unwrap_or(ANY)) {
        Ok(principal) => principal,
        Err(response) => return *response,
    };
    let title = project.map_or(entity.to_owned(), |project| format!("{entity}/{project}"));
    home(state, &principal, &title, Some(entity), project)
}

fn home(
    state: &PageState,
    principal: &Principal,
    title: &str,
    entity: Option<&str>,
    project: Option<&str>,
) -> Response {
    let start = Start::Home {
        entity: entity.map(str::to_owned),
        project: project.map(str::to_owned),
        // A key has the same right in every entity that it gives access to.
        writes: principal.right >= Right::Write,
        runs: cfg!(feature = "wandb"),
    };
    app::shell(&state.config, title, &start, Frame::Never)
}

/// Opens a board. The page itself checks whether the board exists, since it may be created or
/// deleted later.
async fn board(
    State(state): State<PageState>,
    principal: Result<Principal, ApiError>,
    Path((entity, project, board)): Path<(String, String, String)>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let Some(principal) = known(principal)? else { return Ok(ask_for_key(&uri)) };
    Ok(show_board(&state, &principal, [&entity, &project, &board], Frame::Never))
}

fn show_board(
    state: &PageState,
    principal: &Principal,
    [entity, project, board]: [&str; 3],
    frame: Frame,
) -> Response {
    if !principal.may(Right::Read, entity) {
        return nothing(&format!("There is no board {board} in {entity}/{project}"));
    }
    let start = Start::Board {
        entity: entity.to_owned(),
        project: project.to_owned(),
        board: board.to_owned(),
        writes: principal.may(Right::Write, entity),
    };
    app::shell(&state.config, board, &start, frame)
}

/// Opens a page of a project's monitors. The page itself reads the monitor's name from the address.
async fn monitors(
    State(state): State<PageState>,
    principal: Result<Principal, ApiError>,
    Path(names): Path<HashMap<String, String>>,
    uri: Uri,
) -> Response {
    let name = |part: &str| names.get(part).map_or("", String::as_str);
    let (entity, project) = (name("entity"), name("project"));
    let principal = match reader_of(principal, &uri, entity, project) {
        Ok(principal) => principal,
        Err(response) => return *response,
    };
    let start = Start::Monitors {
        entity: entity.to_owned(),
        project: project.to_owned(),
        writes: principal.may(Right::Write, entity),
    };
    app::shell(&state.config, &format!("Monitors of {entity}/{project}"), &start, Frame::Never)
}

/// Returns the principal of a page of an entity or a project, or the response to one that may not read
/// it.
fn reader_of(
    principal: Result<Principal, ApiError>,
    uri: &Uri,
    entity: &str,
    project: &str,
) -> Result<Principal, Box<Response>> {
    let missing = || ApiError::not_found(format!("there is nothing at {}", uri.path()));
    // If these names are not valid in a table path, no page exists either.
    if TablePath::new(entity, project, ANY).is_err() {
        return Err(Box::new(missing().into_response()));
    }
    match known(principal) {
        Err(error) => Err(Box::new(error.into_response())),
        Ok(None) => Err(Box::new(ask_for_key(uri))),
        Ok(Some(principal)) if !principal.may(Right::Read, entity) => {
            Err(Box::new(nothing(&format!("There is nothing at {}", uri.path()))))
        }
        Ok(Some(principal)) => Ok(principal),
    }
}

/// Opens a page of a project's runs or artifacts. The page itself reads the rest of the address, and
/// checks whether the run or the artifact exists, since it may be created or deleted later.
#[cfg(feature = "wandb")]
async fn runs(
    State(state): State<PageState>,
    principal: Result<Principal, ApiError>,
    Path(names): Path<HashMap<String, String>>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let name = |part: &str| names.get(part).map_or("", String::as_str);
    let (entity, project) = (name("entity"), name("project"));
    let principal = match reader_of(principal, &uri, entity, project) {
        Ok(principal) => principal,
        Err(response) => return Ok(*response),
    };
    if let Some(table) = table_of_run_page(uri.path())
        && !state.wandb.has_run(&table).await?
        && state.store.table(&table).await?.is_some()
    {
        return Ok(moved(link_of(table)));
    }
    let start = Start::Runs {
        entity: entity.to_owned(),
        project: project.to_owned(),
        writes: principal.may(Right::Write, entity),
    };
    Ok(app::shell(&state.config, &format!("{entity}/{project}"), &start, Frame::Never))
}

/// Returns the principal, or `None` if the request must log in first.
fn known(principal: Result<Principal, ApiError>) -> Result<Option<Principal>, ApiError> {
    match principal {
        Ok(principal) => Ok(Some(principal)),
        Err(error) if error.status() == StatusCode::UNAUTHORIZED => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the login form for a page that requires a key.
fn ask_for_key(uri: &Uri) -> Response {
    login(StatusCode::UNAUTHORIZED, &uri.to_string(), None)
}

async fn show_table(
    state: &PageState,
    principal: &Principal,
    expr: &Expr,
    frame: Frame,
) -> Result<Response, ApiError> {
    let path = expr.source.table();
    if !principal.may(Right::Read, path.entity()) || !is_made(state, path).await? {
        return Ok(nothing(&format!("There is no table {path}")));
    }
    let start = Start::Panel {
        entity: path.entity().to_owned(),
        project: path.project().to_owned(),
        table: path.table().to_owned(),
        expr: expr.to_string(),
        writes: principal.may(Right::Write, path.entity()),
    };
    Ok(app::shell(&state.config, &path.to_string(), &start, frame))
}

/// Returns whether a table exists, possibly without rows.
async fn is_made(state: &PageState, path: &TablePath) -> Result<bool, ApiError> {
    if state.store.table(path).await?.is_some() {
        return Ok(true);
    }
    #[cfg(feature = "wandb")]
    if state.wandb.has_run(path).await? {
        return Ok(true);
    }
    Ok(false)
}

/// Returns a 404 page. It is the same for names that do not exist and for names that the reader may
/// not see.
fn nothing(what: &str) -> Response {
    Html::new("Nothing here")
        .paragraph(&format!("{what}, or your key does not open it."))
        .raw("<p><a href=\"/\">All tables and boards</a></p>")
        .respond(StatusCode::NOT_FOUND)
}

/// Returns a page that shows the position of an error in an expression.
fn wrong_expression(error: &LinkError) -> Response {
    let mut page = Html::new("This link cannot be read").paragraph(&error.to_string());
    if let LinkError::Parse { text, error } = error {
        let line = text.lines().nth(error.line - 1).unwrap_or_default();
        let pointer = format!("{}^", " ".repeat(error.column - 1));
        page = page.raw(&format!("<pre>{}\n{pointer}</pre>", escape(line)));
    }
    page.respond(StatusCode::BAD_REQUEST)
}

/// Returns the login form, which continues at `next`.
pub(crate) fn login(status: StatusCode, next: &str, why: Option<&str>) -> Response {
    let mut page = Html::new("Log in");
    if let Some(why) = why {
        page = page.raw(&format!("<p role=\"alert\">{}</p>", escape(why)));
    }
    page.raw(&format!(
        "<form method=\"post\" action=\"/login\">\
         <input type=\"hidden\" name=\"next\" value=\"{}\">\
         <label for=\"key\">API key</label> \
         <input id=\"key\" name=\"key\" type=\"password\" autocomplete=\"current-password\" \
         required autofocus> <button>Log in</button></form>\
         <p>On its first start the server wrote a key to the <code>.netrc</code> file of the user \
         that ran it. There, <code>streamtable open TABLE</code> logs this browser in without a \
         key, and <code>streamtable keys add</code> makes more keys.</p>",
        escape(next)
    ))
    .respond(status)
}

/// Returns the page of a login link: its button starts the session and continues at `next`.
pub(crate) fn confirm_login(config: &ServerConfig, token: &str, key: &Key, next: &str) -> Response {
    // A notebook shows panels in frames, and opens its login link in one as well.
    let is_frame = next.starts_with("/embed?");
    let page = Html::new("Log in").raw(&format!(
        "<form method=\"post\" action=\"/login\">\
         <input type=\"hidden\" name=\"token\" value=\"{}\">\
         <input type=\"hidden\" name=\"next\" value=\"{}\">\
         <p id=\"who\">This link logs this browser in with the key <b>{}</b>.</p>\
         <button autofocus aria-describedby=\"who\">Log in</button></form>\
         <p>If you did not ask for it, close this page.</p>",
        escape(token),
        escape(next),
        escape(&key.name)
    ));
    let mut response = page.respond(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if is_frame {
        headers.insert(CONTENT_SECURITY_POLICY, app::policy_of_forms(config));
    }
    response
}

/// Redirects links that W&B clients print or keep, and that are not addresses of pages themselves.
pub(crate) async fn elsewhere(uri: Uri) -> Response {
    let path = uri.path();
    if let Some(table) = table_of_path(path) {
        return moved(link_of(table));
    }
    match project_page(path) {
        Some((_, _, "reports")) => Html::new("No reports")
            .paragraph("This server has no reports. Save a board instead.")
            .raw("<p><a href=\"/\">All tables and boards</a></p>")
            .respond(StatusCode::NOT_FOUND),
        Some((entity, project, page)) if RUNS_PAGES.contains(&page) && cfg!(feature = "wandb") => {
            moved(format!("/{entity}/{project}/runs"))
        }
        Some((entity, project, page)) if PROJECT_PAGES.contains(&page) => {
            moved(format!("/{entity}/{project}"))
        }
        _ => ApiError::not_found(format!("there is nothing at {path}")).into_response(),
    }
}

/// The pages of a project whose content is the list of its runs.
const RUNS_PAGES: [&str; 2] = ["workspace", "table"];

/// The pages of a project whose content is on the project's own page.
const PROJECT_PAGES: [&str; 7] =
    ["workspace", "overview", "table", "artifacts", "runs", "sweeps", "jobs"];

/// Returns the address of a table's page on this server.
fn link_of(table: TablePath) -> String {
    format!("/?exp={}", form_encode(&Expr::rows_of(table).to_string()))
}

/// Not a permanent redirect: browsers keep these for good, even if the page gets its own address.
fn moved(location: String) -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, location)]).into_response()
}

/// Recognizes the page of a run, `/{entity}/{project}/runs/{run}`, which may be that of a table that
/// no W&B client opened. It may have parts, such as `/files`.
#[cfg(feature = "wandb")]
fn table_of_run_page(path: &str) -> Option<TablePath> {
    let parts: Vec<&str> = path.strip_prefix('/')?.trim_end_matches('/').split('/').collect();
    let [entity, project, "runs", run, ..] = parts[..] else { return None };
    let decode = |part| percent_decode_str(part).decode_utf8().ok();
    TablePath::new(&decode(entity)?, &decode(project)?, &decode(run)?).ok()
}

/// Splits the address of a page of a project: entity, project and kind of page, still encoded.
fn project_page(path: &str) -> Option<(&str, &str, &str)> {
    let mut parts = path.strip_prefix('/')?.split('/');
    let (entity, project, page) = (parts.next()?, parts.next()?, parts.next()?);
    let decode = |part| percent_decode_str(part).decode_utf8().ok();
    TablePath::new(&decode(entity)?, &decode(project)?, ANY).ok()?;
    Some((entity, project, page))
}
