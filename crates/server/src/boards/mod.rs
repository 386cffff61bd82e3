//! `/api/boards`: boards, stored as versioned documents.

mod document;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::ETAG;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use streamtable_server_core::Catalog;
use streamtable_server_core::catalog::FeatureTables;

use crate::documents::{
    Changed, DocumentCatalog, DocumentInfo, Kind, VersionParams, etag, expected, path_of,
};
use crate::{ApiError, Principal, Right};
use document::Document;

/// The tables of boards in the catalog.
pub(crate) const TABLES: FeatureTables =
    FeatureTables { feature: "boards", versions: &[include_str!("tables.sql")] };

/// Maximum number of boards per project.
const MAX_BOARDS: i64 = 10_000;

/// The boards in the catalog. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct BoardCatalog(DocumentCatalog);

impl BoardCatalog {
    pub(crate) fn new(catalog: Catalog) -> Self {
        Self(DocumentCatalog::new(catalog, Kind { noun: "board", max: MAX_BOARDS }))
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
    boards.respond(&path, &params, &headers).await
}

/// Lists the stored versions of a board, newest first.
pub(crate) async fn versions(
    State(BoardCatalog(boards)): State<BoardCatalog>,
    principal: Principal,
    Path((entity, project, name)): Named,
) -> Result<Json<Vec<DocumentInfo>>, ApiError> {
    let path = path_of(&principal, Right::Read, &entity, &project, &name)?;
    boards.respond_versions(&path).await
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
    Ok(boards.respond_saved(saved.await?))
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
        Changed::Done { .. } => Ok(boards.respond_deleted(&path, &principal)),
        Changed::Unexpected(found) => boards.refuse_deletion(&path, found),
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
        Changed::Unexpected(None) => Err(boards.missing(&path)),
        Changed::Unexpected(Some(_)) => {
            let message = format!("a board named {to} already exists");
            Err(ApiError::new(StatusCode::CONFLICT, message))
        }
    }
}
