//! `GET /api/tables`: the tables, and their columns.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use streamtable_schema::{Timestamp, Type};
use streamtable_store::{Problem, StoreError, TableInfo, TableSummary};
use streamtable_url::{BaseUrl, panel_url};
use streamtable_wire::WeaveType;

use super::ApiState;
use super::extract::{Board, Params, Table};
use crate::{ApiError, Principal, Right};

/// Selects tables by the parts of their names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    entity: Option<String>,
    project: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Tables {
    tables: Vec<Summary>,
}

/// A table in a list.
#[derive(Debug, Serialize)]
struct Summary {
    name: String,
    entity: String,
    project: String,
    table: String,
    rows: u64,
    bytes: u64,
    created_at: String,
    last_write: String,
    url: String,
    /// The problems of the table's stored data; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Problem>,
}

/// A table in a response.
#[derive(Debug, Serialize)]
pub(super) struct TableDto {
    #[serde(flatten)]
    summary: Summary,
    end: u64,
    columns: usize,
    last_step: Option<i64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Columns {
    columns: Vec<Column>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: String,
    #[serde(flatten)]
    ty: Types,
    history: Vec<Seen>,
}

/// A type, for people and for programs.
#[derive(Debug, Serialize)]
struct Types {
    #[serde(rename = "type")]
    text: String,
    weave: WeaveType,
}

#[derive(Debug, Serialize)]
struct Seen {
    #[serde(flatten)]
    ty: Types,
    position: u64,
    at: String,
}

/// Lists the tables that the caller may read, sorted by name.
pub(super) async fn list(
    State(state): State<ApiState>,
    principal: Principal,
    Board(board): Board,
    Params(params): Params<ListParams>,
) -> Result<Json<Tables>, ApiError> {
    let is_asked = |asked: &Option<String>, name: &str| asked.as_ref().is_none_or(|a| a == name);
    let mut tables = state.store.tables().await?;
    tables.retain(|TableSummary { path, .. }| {
        principal.may(Right::Read, path.entity())
            && is_asked(&params.entity, path.entity())
            && is_asked(&params.project, path.project())
    });
    let tables = tables.into_iter().map(|table| summary(table, &board)).collect();
    Ok(Json(Tables { tables }))
}

/// Returns one table.
pub(super) async fn table(
    State(state): State<ApiState>,
    principal: Principal,
    Board(board): Board,
    table: Table,
) -> Result<Json<TableDto>, ApiError> {
    let TableInfo { summary: about, end, columns, last_step, .. } =
        info(&state, principal, table).await?;
    let (summary, columns) = (summary(about, &board), columns.len());
    Ok(Json(TableDto { summary, end, columns, last_step }))
}

/// Returns a table's columns in first-seen order, each with the types that it has had.
pub(super) async fn schema(
    State(state): State<ApiState>,
    principal: Principal,
    table: Table,
) -> Result<Json<Columns>, ApiError> {
    let columns = info(&state, principal, table).await?.columns.into_iter().map(|column| Column {
        name: column.name,
        ty: types(&column.ty),
        history: column
            .history
            .into_iter()
            .map(|seen| Seen { ty: types(&seen.ty), position: seen.position, at: text(seen.at) })
            .collect(),
    });
    Ok(Json(Columns { columns: columns.collect() }))
}

async fn info(state: &ApiState, principal: Principal, table: Table) -> Result<TableInfo, ApiError> {
    let table = table.require(Right::Read, &principal)?;
    Ok(state.store.table(&table).await?.ok_or(StoreError::NoTable { table })?)
}

fn summary(summary: TableSummary, board: &BaseUrl) -> Summary {
    let TableSummary { path, rows, bytes, created_at, last_write, problems } = summary;
    Summary {
        name: path.to_string(),
        entity: path.entity().to_owned(),
        project: path.project().to_owned(),
        table: path.table().to_owned(),
        rows,
        bytes,
        created_at: text(created_at),
        last_write: text(last_write),
        url: panel_url(board, &path),
        problems,
    }
}

fn types(ty: &Type) -> Types {
    Types { text: ty.to_string(), weave: WeaveType::from(ty) }
}

fn text(t: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(t.as_micros())
        .map_or_else(|_| t.to_string(), |time| format!("{time:.6}"))
}
