//! `POST …/export` and `GET …/board`: a view as a file, and a suggested first board for a table.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_DISPOSITION;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use streamtable_live::{TableReader, Template, ViewJson, suggest};
use streamtable_schema::TablePath;
use streamtable_store::StoreError;

use super::{LiveState, to_api_error};
use crate::api::{answer, format_named};
use crate::{ApiError, Principal, Right};

/// The view and the format to export.
#[derive(Debug, Deserialize)]
pub(crate) struct Export {
    #[serde(default)]
    config: ViewJson,
    format: String,
}

/// Parameters of a suggested board.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BoardParams {
    #[serde(default)]
    template: Option<String>,
}

/// Returns all rows of a view.
pub(crate) async fn export(
    State(state): State<LiveState>,
    principal: Principal,
    Path((entity, project, table)): Path<(String, String, String)>,
    body: Result<Json<Export>, JsonRejection>,
) -> Result<Response, ApiError> {
    state.memory.check()?;
    let Json(Export { config, format }) =
        body.map_err(|error| ApiError::new(error.status(), error.body_text()))?;
    let reader = reader(&state, &principal, &entity, &project, &table).await?;
    let form = format_named(&format)
        .ok_or_else(|| ApiError::bad_request(format!("unknown file format {format:?}")))?;
    let types = form.types();
    let rows = streamtable_live::export(&state.cache, &principal.name, &reader, config, types)
        .await
        .map_err(to_api_error)?;
    let mut response = answer(rows, form).await?;
    // The name is only informative: avoid characters that need quoting.
    let plain: String = table
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
        .collect();
    let disposition = format!("attachment; filename=\"{plain}.{}\"", format.to_lowercase());
    if let Ok(value) = HeaderValue::try_from(disposition) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// Returns the templates of boards with whether the table fits each, and the aggregate that fits each
/// column.
pub(crate) async fn templates(
    State(state): State<LiveState>,
    principal: Principal,
    Path((entity, project, table)): Path<(String, String, String)>,
) -> Result<Response, ApiError> {
    let reader = reader(&state, &principal, &entity, &project, &table).await?;
    Ok(Json(streamtable_live::templates(&reader).await.map_err(to_api_error)?).into_response())
}

/// Returns a suggested first board for a table.
pub(crate) async fn first_board(
    State(state): State<LiveState>,
    principal: Principal,
    Path((entity, project, table)): Path<(String, String, String)>,
    Query(params): Query<BoardParams>,
) -> Result<Response, ApiError> {
    let wanted = params.template.as_deref().unwrap_or(Template::Overview.name());
    let template = Template::named(wanted).ok_or_else(|| {
        ApiError::bad_request(format!(
            "unknown template {wanted:?}; use `overview` or `monitoring`"
        ))
    })?;
    let reader = reader(&state, &principal, &entity, &project, &table).await?;
    Ok(Json(suggest(&reader, template).await.map_err(to_api_error)?).into_response())
}

async fn reader(
    state: &LiveState,
    principal: &Principal,
    entity: &str,
    project: &str,
    table: &str,
) -> Result<TableReader, ApiError> {
    let path = TablePath::new(entity, project, table);
    let table = path.map_err(|error| ApiError::bad_request(error.to_string()))?;
    if !principal.may(Right::Read, table.entity())
        || state.access.store.table(&table).await?.is_none()
    {
        return Err(StoreError::NoTable { table }.into());
    }
    Ok(TableReader::new(state.access.clone(), table))
}
