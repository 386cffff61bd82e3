//! `GET …/rows`: rows in table order.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Deserialize;
use streamtable_live::json::write_row;
use streamtable_schema::TablePath;
use streamtable_store::{Store, StoreError};

use super::extract::{Params, Table};
use super::pager::{Pager, position_of_last};
use super::{ApiState, STREAM_END};
use crate::{ApiError, Principal, Right};

/// Default number of rows.
const DEFAULT_LIMIT: u64 = 1000;

/// Selects rows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RowsParams {
    from: Option<i64>,
    limit: Option<u64>,
    #[serde(default)]
    order: Order,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    #[default]
    Oldest,
    Newest,
}

/// Returns rows as JSON lines, starting at a position and going in one of two directions.
///
/// A negative `from` counts from the end of the table. Rows are read as fast as the client receives
/// them.
pub(super) async fn rows(
    State(state): State<ApiState>,
    principal: Principal,
    table: Table,
    Params(params): Params<RowsParams>,
) -> Result<Response, ApiError> {
    let table = table.require(Right::Read, &principal)?;
    let store = state.store;
    let info = store.table(&table).await?;
    let info = info.ok_or_else(|| StoreError::NoTable { table: table.clone() })?;
    let start = match (params.from, params.order) {
        (Some(from), Order::Newest) => resolve(&store, &table, from).await?.saturating_add(1),
        (None, Order::Newest) => info.end,
        (from, Order::Oldest) => resolve(&store, &table, from.unwrap_or(0)).await?,
    };
    // Going forwards, rows that arrive during the response are included. Backwards, there are none.
    let start = if matches!(params.order, Order::Newest) { start.min(info.end) } else { start };
    let pager = Pager::new(store, table, start);
    let left = params.limit.unwrap_or(DEFAULT_LIMIT);
    let body = stream::try_unfold((pager, left), move |(mut pager, left)| async move {
        let rows = match params.order {
            _ if left == 0 => return Ok(None),
            Order::Oldest => pager.forwards(left).await,
            Order::Newest => pager.backwards(left).await,
        };
        let rows = rows.inspect_err(|error| tracing::warn!(%error, "a response was aborted"))?;
        if rows.is_empty() {
            return Ok::<_, StoreError>(None);
        }
        let mut out = Vec::new();
        for row in &rows {
            write_row(&mut out, row);
            out.push(b'\n');
        }
        pager.learn(rows.len(), out.len());
        Ok(Some((Bytes::from(out), (pager, left - rows.len() as u64))))
    });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (STREAM_END, HeaderValue::from(info.end)),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Resolves a requested position. A negative one counts from the end of the table.
pub(super) async fn resolve(
    store: &Arc<dyn Store>,
    table: &TablePath,
    from: i64,
) -> Result<u64, StoreError> {
    match u64::try_from(from) {
        Ok(position) => Ok(position),
        Err(_) => position_of_last(store, table, from.unsigned_abs()).await,
    }
}
