//! `/api/boards`: boards, stored as versioned documents.

mod catalog;
mod document;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use streamtable_schema::TablePath;

use crate::{ApiError, Principal, Right};
use catalog::{BoardPath, BoardVersion, Changed, Expected};
use document::Document;

pub(crate) use catalog::{BoardCatalog, TABLES};

/// The metadata of a board.
#[derive(Debug, Serialize)]
struct BoardInfo {
    name: String,
    title: String,
    version: i64,
    updated: String,
    author: String,
}

impl From<BoardVersion> for BoardInfo {
    fn from(board: BoardVersion) -> Self {
        let updated = jiff::Timestamp::from_millisecond(board.saved_at).unwrap_or_default();
        Self {
            name: board.name,
            title: board.title,
            version: board.version,
            updated: format!("{updated:.3}"),
            author: board.author,
        }
    }
}

/// Selects a version of a board.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionParams {
    version: Option<i64>,
}

/// The new name of a board.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rename {
    to: String,
}

type Named = Path<(String, String, String)>;

/// Lists the boards of a project.
pub(crate) async fn list(
    State(boards): State<BoardCatalog>,
    principal: Principal,
    Path((entity, project)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let path = path_of(&principal, Right::Read, &entity, &project, "-")?;
    let found = boards.boards(&path.entity, &path.project).await?;
    Ok(Json(found.into_iter().map(BoardInfo::from).collect::<Vec<_>>()).into_response())
}

/// Returns the document of a board.
pub(crate) async fn get(
    State(boards): State<BoardCatalog>,
    principal: Principal,
    Path((entity, project, name)): Named,
    params: Result<Query<VersionParams>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(params) = params.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let path = path_of(&principal, Right::Read, &entity, &project, &name)?;
    let found = boards.board(&path, params.version).await?;
    let (board, document) = found.ok_or_else(|| no_board(&path))?;
    let etag = etag(board.version);
    if headers.get(IF_NONE_MATCH) == Some(&etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response());
    }
    let json = HeaderValue::from_static("application/json");
    Ok(([(ETAG, etag), (CONTENT_TYPE, json)], document).into_response())
}

/// Lists the stored versions of a board, newest first.
pub(crate) async fn versions(
    State(boards): State<BoardCatalog>,
    principal: Principal,
    Path((entity, project, name)): Named,
) -> Result<Response, ApiError> {
    let path = path_of(&principal, Right::Read, &entity, &project, &name)?;
    let versions = boards.board_versions(&path).await?;
    if versions.is_empty() {
        return Err(no_board(&path));
    }
    Ok(Json(versions.into_iter().map(BoardInfo::from).collect::<Vec<_>>()).into_response())
}

/// Saves a board.
///
/// `If-Match` with the version that the author has seen, or `If-None-Match: *` for a new board,
/// prevents overwriting somebody else's changes: on a conflict the response is 412 and describes
/// the current version. Without either header, the last write wins.
pub(crate) async fn put(
    State(boards): State<BoardCatalog>,
    principal: Principal,
    Path((entity, project, name)): Named,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let path = path_of(&principal, Right::Write, &entity, &project, &name)?;
    let expected = expected(&headers)?;
    let body = body.map_err(|error| ApiError::new(error.status(), error.body_text()))?;
    let document = Document::read(&body)?;
    let saved = boards.save_board(&path, expected, &document.title, &principal.name, document.text);
    match saved.await? {
        Changed::Done { board, is_new } => {
            let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, [(ETAG, etag(board.version))], Json(BoardInfo::from(board)))
                .into_response())
        }
        Changed::Unexpected(found) => Ok(unexpected(found)),
    }
}

/// Deletes a board.
pub(crate) async fn delete(
    State(boards): State<BoardCatalog>,
    principal: Principal,
    Path((entity, project, name)): Named,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let path = path_of(&principal, Right::Write, &entity, &project, &name)?;
    match boards.delete_board(&path, expected(&headers)?).await? {
        Changed::Done { board, .. } => {
            let (name, by) = (&board.name, &principal.name);
            tracing::info!(target: "audit", entity, project, name, by, "a board was deleted");
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        Changed::Unexpected(None) => Err(no_board(&path)),
        Changed::Unexpected(found) => Ok(unexpected(found)),
    }
}

/// Renames a board.
pub(crate) async fn rename(
    State(boards): State<BoardCatalog>,
    principal: Principal,
    Path((entity, project, name)): Named,
    body: Result<Json<Rename>, axum::extract::rejection::JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(Rename { to }) = body.map_err(|e| ApiError::new(e.status(), e.body_text()))?;
    let path = path_of(&principal, Right::Write, &entity, &project, &name)?;
    let to = path_of(&principal, Right::Write, &entity, &project, &to)?.name;
    match boards.rename_board(&path, &to).await? {
        Changed::Done { board, .. } => {
            Ok(([(ETAG, etag(board.version))], Json(BoardInfo::from(board))).into_response())
        }
        Changed::Unexpected(None) => Err(no_board(&path)),
        Changed::Unexpected(Some(_)) => {
            let message = format!("a board named {to} already exists");
            Err(ApiError::new(StatusCode::CONFLICT, message))
        }
    }
}

/// Returns the path of a board if the principal has the right. Board names follow the rules for
/// table names.
fn path_of(
    principal: &Principal,
    right: Right,
    entity: &str,
    project: &str,
    name: &str,
) -> Result<BoardPath, ApiError> {
    principal.check(right, entity)?;
    let path = TablePath::new(entity, project, name);
    let path = path.map_err(|error| ApiError::bad_request(error.to_string()))?;
    Ok(BoardPath {
        entity: path.entity().to_owned(),
        project: path.project().to_owned(),
        name: path.table().to_owned(),
    })
}

fn no_board(path: &BoardPath) -> ApiError {
    let BoardPath { entity, project, name } = path;
    ApiError::not_found(format!("no board {entity}/{project}/{name}, or no such version"))
}

fn etag(version: i64) -> HeaderValue {
    // A quoted number is always a valid header value.
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Parses the preconditions of a change.
fn expected(headers: &HeaderMap) -> Result<Expected, ApiError> {
    let text = |name: &HeaderName| -> Result<Option<&str>, ApiError> {
        let text = headers.get(name).map(HeaderValue::to_str).transpose();
        text.map_err(|_| ApiError::bad_request(format!("{name} is not plain text")))
    };
    match (text(&IF_MATCH)?, text(&IF_NONE_MATCH)?) {
        (None, None) => Ok(Expected::Anything),
        (Some("*"), None) => Ok(Expected::Something),
        (None, Some("*")) => Ok(Expected::Nothing),
        (Some(etag), None) => {
            let digits = etag.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
            // An `ETag` that the server never issued matches no version.
            Ok(Expected::Version(digits.and_then(|it| it.parse().ok()).unwrap_or(-1)))
        }
        _ => Err(ApiError::bad_request("If-Match requires a version, If-None-Match requires `*`")),
    }
}

/// Returns a 412 response that describes the current version.
fn unexpected(found: Option<BoardVersion>) -> Response {
    let message = match &found {
        Some(it) => {
            format!("the board was changed by {}; version {} is newer", it.author, it.version)
        }
        None => "the board does not exist any more".to_owned(),
    };
    let mut body = json!({ "errors": [{ "message": message }] });
    if let Some(BoardInfo { version, updated, author, .. }) = found.map(BoardInfo::from) {
        body["version"] = version.into();
        body["updated"] = updated.into();
        body["author"] = author.into();
    }
    (StatusCode::PRECONDITION_FAILED, Json(body)).into_response()
}
