//! What a browser sees: the page that a table's link opens, and where to give a key.

mod html;
mod table;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use percent_encoding::percent_decode_str;
use streamtable_schema::TablePath;
use streamtable_url::{Expr, LinkError, form_encode, parse_query, table_of_path};

use crate::access::{Principal, Right};
use crate::{ApiError, AppState};
use html::{Html, escape};

const STYLE: &str = include_str!("style.css");

pub(crate) fn router() -> Router<AppState> {
    Router::new().route("/", get(open)).route("/style.css", get(style))
}

async fn style() -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"))], STYLE).into_response()
}

/// Opens a link, `/?exp=…`; without an expression, lists the tables.
async fn open(
    State(state): State<AppState>,
    principal: Result<Principal, ApiError>,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let expr = match parse_query(query.as_deref().unwrap_or_default()) {
        Ok(expr) => Some(expr),
        Err(LinkError::NoExpression) => None,
        Err(error) => return Ok(wrong_expression(&error)),
    };
    let principal = match principal {
        Ok(principal) => principal,
        Err(error) if error.status() == StatusCode::UNAUTHORIZED => {
            return Ok(login(StatusCode::UNAUTHORIZED, &uri.to_string(), None));
        }
        Err(error) => return Err(error),
    };
    match expr {
        Some(expr) => show_table(&state, &principal, &expr).await,
        None => Ok(table::list(&state, &principal)),
    }
}

async fn show_table(
    state: &AppState,
    principal: &Principal,
    expr: &Expr,
) -> Result<Response, ApiError> {
    let path = expr.source.table();
    if principal.check(Right::Read, path.entity()).is_ok()
        && let Some(page) = table::show(state, expr).await?
    {
        return Ok(page);
    }
    Ok(Html::new("No such table")
        .paragraph(&format!("There is no table {path}, or your key does not open it."))
        .respond(StatusCode::NOT_FOUND))
}

/// Shows where an expression is wrong.
fn wrong_expression(error: &LinkError) -> Response {
    let mut page = Html::new("This link cannot be read").paragraph(&error.to_string());
    if let LinkError::Parse { text, error } = error {
        let line = text.lines().nth(error.line - 1).unwrap_or_default();
        let pointer = format!("{}^", " ".repeat(error.column - 1));
        page = page.raw(&format!("<pre>{}\n{pointer}</pre>", escape(line)));
    }
    page.respond(StatusCode::BAD_REQUEST)
}

/// Asks for a key, and goes on to `next` with it.
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
         <p>The server printed a key when it first started; \
         <code>streamtable keys add</code> makes others.</p>",
        escape(next)
    ))
    .respond(status)
}

/// Sends links of other Weave clients on to the table's page.
pub(crate) async fn elsewhere(uri: Uri) -> Response {
    let path = uri.path();
    let Some(table) = table_of_path(path).or_else(|| table_of_run_page(path)) else {
        let message = format!("there is nothing at {path}");
        return ApiError::not_found(message).into_response();
    };
    let location = format!("/?exp={}", form_encode(&Expr::rows_of(table).to_string()));
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, location)]).into_response()
}

/// Recognises the page of a run, `/{entity}/{project}/runs/{run}`, whose rows are a table.
fn table_of_run_page(path: &str) -> Option<TablePath> {
    let parts: Vec<&str> = path.strip_prefix('/')?.trim_end_matches('/').split('/').collect();
    let [entity, project, "runs", run] = parts[..] else { return None };
    let decode = |part| percent_decode_str(part).decode_utf8().ok();
    TablePath::new(&decode(entity)?, &decode(project)?, &decode(run)?).ok()
}
