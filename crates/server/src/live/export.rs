//! `POST …/export` and `GET …/board`: a view as a file, and a table's first board.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_DISPOSITION;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use streamtable_schema::TablePath;
use streamtable_store::{Query as StoreQuery, Rows, StoreError};

use super::config::{Json as JsonConfig, ViewConfig};
use super::error::LiveError;
use super::source::Source;
use super::suggest::{Template, suggest};
use crate::api::{answer, format_named};
use crate::{ApiError, AppState, Principal, Right};

/// How long a download may take.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// What is exported, and as what.
#[derive(Debug, Deserialize)]
pub(crate) struct Export {
    #[serde(default)]
    config: JsonConfig,
    format: String,
}

/// Which board is made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    #[serde(default)]
    template: Option<String>,
}

/// Answers with all rows of a view.
pub(crate) async fn export(
    State(state): State<AppState>,
    principal: Principal,
    Path((entity, project, table)): Path<(String, String, String)>,
    body: Result<Json<Export>, JsonRejection>,
) -> Result<Response, ApiError> {
    state.shared.memory.check()?;
    let Json(Export { config, format }) =
        body.map_err(|error| ApiError::new(error.status(), error.body_text()))?;
    let source = source(&state, &principal, &entity, &project, &table)?;
    let form = format_named(&format)
        .ok_or_else(|| ApiError::bad_request(format!("{format:?} is no form of a file")))?;
    let config = ViewConfig::try_from(config)?;
    let name = source.table.table().to_owned();
    let view = state.shared.live.view(&source, config);
    let rows = match view.export_sql().await? {
        Some(sql) => {
            let query = StoreQuery { timeout: TIMEOUT, ..source.query(sql) };
            source.store.query(query).await?
        }
        None => {
            let now = view.computed().await?;
            let window = view.window(&now, 0..usize::MAX, 0..usize::MAX).await?;
            one_batch(window.to_batch()?)
        }
    };
    let mut response = answer(rows, form).await?;
    // Only what needs no quoting: the name is for people.
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
        .collect();
    let disposition = format!("attachment; filename=\"{plain}.{}\"", format.to_lowercase());
    if let Ok(value) = HeaderValue::try_from(disposition) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// Answers with the board that somebody new to the table may begin with.
pub(crate) async fn first_board(
    State(state): State<AppState>,
    principal: Principal,
    Path((entity, project, table)): Path<(String, String, String)>,
    Query(which): Query<Which>,
) -> Result<Response, ApiError> {
    let template = match which.template.as_deref() {
        None | Some("overview") => Template::Overview,
        Some("monitoring") => Template::Monitoring,
        Some(other) => {
            return Err(ApiError::bad_request(format!(
                "{other:?} is none of `overview` and `monitoring`"
            )));
        }
    };
    let source = source(&state, &principal, &entity, &project, &table)?;
    Ok(Json(suggest(&source, template).await?).into_response())
}

fn source(
    state: &AppState,
    principal: &Principal,
    entity: &str,
    project: &str,
    table: &str,
) -> Result<Source, ApiError> {
    let path = TablePath::new(entity, project, table);
    let table = path.map_err(|error| ApiError::bad_request(error.to_string()))?;
    if !principal.may(Right::Read, table.entity()) || state.store.table(&table).is_none() {
        return Err(StoreError::NoTable { table }.into());
    }
    Ok(Source { store: Arc::clone(&state.store), table })
}

fn one_batch(batch: RecordBatch) -> Rows {
    Rows { schema: batch.schema(), batches: stream::iter([Ok(batch)]).boxed() }
}

impl super::window::Window {
    /// Puts it into one batch, the values by which rows are grouped first.
    fn to_batch(&self) -> Result<RecordBatch, LiveError> {
        let levels = self.paths.iter().flat_map(|paths| paths.names.iter().zip(&paths.columns));
        let columns = levels.chain(self.columns.iter().map(|(name, array)| (name, array)));
        let mut names = std::collections::HashSet::new();
        let (fields, arrays): (Vec<Field>, Vec<_>) = columns
            .map(|(name, array)| {
                // A column that is grouped by and shown, too, is there twice.
                let mut name = name.clone();
                while !names.insert(name.clone()) {
                    name.push('_');
                }
                (Field::new(name, array.data_type().clone(), true), Arc::clone(array))
            })
            .unzip();
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
    }
}

impl From<LiveError> for ApiError {
    fn from(error: LiveError) -> Self {
        let status = match error {
            LiveError::Refused { .. } => http::StatusCode::BAD_REQUEST,
            LiveError::NoView => http::StatusCode::NOT_FOUND,
            LiveError::Failed { .. } => http::StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}
