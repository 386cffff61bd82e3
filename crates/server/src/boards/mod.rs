//! `/api/boards`: boards, stored as versioned documents.

mod document;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use streamtable_server_core::Catalog;
use streamtable_server_core::catalog::FeatureTables;

use crate::documents::{
    Changed, DocumentCatalog, DocumentInfo, DocumentPath, Kind, VersionParams, etag, expected,
    no_document, path_of, unexpected,
};
use crate::{ApiError, Principal, Right};
use document::Document;

/// The tables of boards in the catalog.
pub(crate) const TABLES: FeatureTables =
    FeatureTables { feature: "boards", versions: &[include_str!("tables.sql")] };

/// The name of this kind of document in the catalog and in errors.
const NOUN: &str = "board";

/// Maximum number of boards per project.
const MAX_BOARDS: i64 = 10_000;

/// The boards in the catalog. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct BoardCatalog(DocumentCatalog);

impl BoardCatalog {
    pub(crate) fn new(catalog: Catalog) -> Self {
        Self(DocumentCatalog::new(catalog, Kind { noun: NOUN, max: MAX_BOARDS }))
    }
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
    State(BoardCatalog(boards)): State<BoardCatalog>,
    principal: Principal,
    Path((entity, project)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let path = path_of(&principal, Right::Read, &entity, &project, "-")?;
    let found = boards.list(&path.entity, &path.project).await?;
    Ok(Json(found.into_iter().map(DocumentInfo::from).collect::<Vec<_>>()).into_response())
}

/// Returns the document of a board.
pub(crate) async fn get(
    State(BoardCatalog(boards)): State<BoardCatalog>,
    principal: Principal,
    Path((entity, project, name)): Named,
    params: Result<Query<VersionParams>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(params) = params.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let path = path_of(&principal, Right::Read, &entity, &project, &name)?;
    let found = boards.get(&path, params.version).await?;
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
    State(BoardCatalog(boards)): State<BoardCatalog>,
    principal: Principal,
    Path((entity, project, name)): Named,
) -> Result<Response, ApiError> {
    let path = path_of(&principal, Right::Read, &entity, &project, &name)?;
    let versions = boards.versions(&path).await?;
    if versions.is_empty() {
        return Err(no_board(&path));
    }
    Ok(Json(versions.into_iter().map(DocumentInfo::from).collect::<Vec<_>>()).into_response())
}

/// Saves a board.
///
/// `If-Match` with the version that the author has seen, or `If-None-Match: *` for a new board,
/// prevents overwriting somebody else's changes: on a conflict the response is 412 and describes
/// the current version. Without either header, the last write wins.
pub(crate) async fn put(
    State(BoardCatalog(boards)): State<BoardCatalog>,
    principal: Principal,
    Path((entity, project, name)): Named,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let path = path_of(&principal, Right::Write, &entity, &project, &name)?;
    let expected = expected(&headers)?;
    let body = body.map_err(|error| ApiError::new(error.status(), error.body_text()))?;
    let document = Document::read(&body)?;
    let saved = boards.save(&path, expected, &document.title, &principal.name, document.text);
    match saved.await? {
        Changed::Done { document: board, is_new } => {
            let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, [(ETAG, etag(board.version))], Json(DocumentInfo::from(board)))
                .into_response())
        }
        Changed::Unexpected(found) => Ok(unexpected(NOUN, found)),
    }
}

/// Deletes a board.
pub(crate) async fn delete(
    State(BoardCatalog(boards)): State<BoardCatalog>,
    principal: Principal,
    Path((entity, project, name)): Named,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let path = path_of(&principal, Right::Write, &entity, &project, &name)?;
    match boards.delete(&path, expected(&headers)?).await? {
        Changed::Done { document: board, .. } => {
            let (name, by) = (&board.name, &principal.name);
            tracing::info!(target: "audit", entity, project, name, by, "a board was deleted");
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        Changed::Unexpected(None) => Err(no_board(&path)),
        Changed::Unexpected(found) => Ok(unexpected(NOUN, found)),
    }
}

/// Renames a board.
pub(crate) async fn rename(
    State(BoardCatalog(boards)): State<BoardCatalog>,
    principal: Principal,
    Path((entity, project, name)): Named,
    body: Result<Json<Rename>, axum::extract::rejection::JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(Rename { to }) = body.map_err(|e| ApiError::new(e.status(), e.body_text()))?;
    let path = path_of(&principal, Right::Write, &entity, &project, &name)?;
    let to = path_of(&principal, Right::Write, &entity, &project, &to)?.name;
    match boards.rename(&path, &to).await? {
        Changed::Done { document: board, .. } => {
            Ok(([(ETAG, etag(board.version))], Json(DocumentInfo::from(board))).into_response())
        }
        Changed::Unexpected(None) => Err(no_board(&path)),
        Changed::Unexpected(Some(_)) => {
            let message = format!("a board named {to} already exists");
            Err(ApiError::new(StatusCode::CONFLICT, message))
        }
    }
}

fn no_board(path: &DocumentPath) -> ApiError {
    no_document(NOUN, path)
}
