//! Rows, console lines and the state of runs: posts to file streams.

mod body;
mod post;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use streamtable_schema::{ColumnPolicy, TablePath};
use streamtable_store::{Batch, Numbering};
use streamtable_wire::{
    ACKS_HEADER, ASYNC_HEADER, COLUMNS_HEADER, FileStreamAnswer, MAX_REQUEST_ID_BYTES,
    REQUEST_HEADER, RejectedLine,
};

use crate::access::{Principal, Right};
use crate::catalog::{Run, RunLocation};
use crate::turns::in_turn;
use crate::{ApiError, AppState};

pub(crate) use body::read_body;
use post::{Lines, Post};

/// By which a writer of the present SDK names itself.
const WRITER_HEADER: &str = "x-wandb-async-client-id";

/// The longest id of a writer.
const MAX_WRITER_BYTES: usize = 256;

/// How often a run's sign of life is written down, when there is nothing else to write.
const HEARTBEAT_SECONDS: u64 = 5;

pub(crate) fn router() -> Router<AppState> {
    Router::new().route("/files/{entity}/{project}/{run}/file_stream", post(file_stream))
}

/// Takes a post: first its rows, durably, then the rest. A client that does not hear the answer
/// repeats the post, which changes nothing then.
async fn file_stream(
    State(state): State<AppState>,
    principal: Principal,
    Path((entity, project, run)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    principal.check(Right::Write, &entity)?;
    let mode = Mode::of(&headers)?;
    let found = state.catalog.run(&RunLocation::new(&entity, &project, &run)).await?;
    let run = found.ok_or_else(|| {
        ApiError::not_found(format!("there is no run {run:?} in {entity}/{project}"))
    })?;
    let (body, _memory) =
        read_body(&state, &headers, body, state.config().limits.max_body_bytes).await?;
    let limits = state.config().limits.clone();
    let post = on_blocking_thread(&state, body.len(), move || Post::parse(&body, &limits)).await?;
    let acked = post.rows.as_ref().map(|rows| rows.end);
    let rejected = match &post.rows {
        Some(rows) => append(&state, &run, &mode, rows).await?,
        None => Vec::new(),
    };
    let event = post.event(&run);
    if !event.is_heartbeat() || is_heartbeat_due(&state, run.id) {
        state.catalog.record(run.id, event).await?;
    }
    let answer =
        FileStreamAnswer { acked, request: request_id(&headers), rejected, stopped: false };
    let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let acks = (HeaderName::from_static(ACKS_HEADER), HeaderValue::from_static("1"));
    Ok(([json, acks], answer.to_bytes()).into_response())
}

/// Returns the id that the client gave its request, for the answer to repeat.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_HEADER)?.to_str().ok()?;
    (id.len() <= MAX_REQUEST_ID_BYTES).then(|| id.to_owned())
}

/// How a post wants its rows to be treated.
struct Mode {
    /// Whether lines come once, so that writers do not overwrite each other.
    is_async: bool,
    /// Who writes the rows that name nobody.
    writer: Option<String>,
    columns: ColumnPolicy,
}

impl Mode {
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let is_async = text(ASYNC_HEADER).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let columns = match text(COLUMNS_HEADER) {
            None | Some("evolve") => ColumnPolicy::Evolve,
            Some("strict") => ColumnPolicy::Strict,
            Some(other) => {
                let message = format!("{COLUMNS_HEADER} is strict or evolve, not {other:?}");
                return Err(ApiError::bad_request(message));
            }
        };
        let writer = text(WRITER_HEADER).map(str::to_owned);
        if writer.as_ref().is_some_and(|writer| writer.len() > MAX_WRITER_BYTES) {
            return Err(ApiError::bad_request(format!("{WRITER_HEADER} is too long")));
        }
        Ok(Self { is_async, writer, columns })
    }

    /// Returns who wrote the lines that do not say so.
    fn writer(&self, run: &Run) -> String {
        if !self.is_async {
            return run.table_name.clone();
        }
        // Lines of somebody who gives no name cannot be told apart from another's: all are kept.
        self.writer.clone().unwrap_or_else(|| format!("unnamed-{}", uuid::Uuid::new_v4()))
    }
}

async fn append(
    state: &AppState,
    run: &Run,
    mode: &Mode,
    rows: &Lines,
) -> Result<Vec<RejectedLine>, ApiError> {
    let table: TablePath = run.table().map_err(|e| ApiError::bad_request(e.to_string()))?;
    let writer = mode.writer(run);
    let mut rejected = rows.rejected.clone();
    for (first_line, lines) in &rows.parts {
        let batch = Batch {
            table: table.clone(),
            writer: writer.clone(),
            first_line: *first_line,
            lines: lines.clone(),
            numbering: if mode.is_async { Numbering::Once } else { Numbering::Overwrite },
            columns: mode.columns,
            received_at: crate::clock::timestamp(),
        };
        let appended = state.store.append(batch).await?;
        rejected.extend(
            appended
                .rejected
                .into_iter()
                .map(|line| RejectedLine { line: line.line, reason: line.reason }),
        );
    }
    rejected.sort_by_key(|line| line.line);
    Ok(rejected)
}

/// Tells whether a run's last sign of life is old enough to be written down anew.
fn is_heartbeat_due(state: &AppState, run: i64) -> bool {
    let now = std::time::Instant::now();
    let mut heartbeats = state.shared.heartbeats.lock();
    let old = |at: &std::time::Instant| now.duration_since(*at).as_secs() >= HEARTBEAT_SECONDS;
    if heartbeats.get(&run).is_some_and(|at| !old(at)) {
        return false;
    }
    if heartbeats.len() > 10_000 {
        heartbeats.retain(|_, at| !old(at));
    }
    heartbeats.insert(run, now);
    true
}

/// Does work that takes long where a body is large on a thread that may block. As many threads do so
/// at once as there are processors: more would take memory, and be done no sooner.
pub(crate) async fn on_blocking_thread<T: Send + 'static>(
    state: &AppState,
    bytes: usize,
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    /// What a thread of the runtime may do by itself: less than a millisecond.
    const SMALL: usize = 64 << 10;

    if bytes <= SMALL {
        return work();
    }
    in_turn(&state.shared.body_readers, work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request's work failed");
        Err(ApiError::new(http::StatusCode::INTERNAL_SERVER_ERROR, "the server failed"))
    })
}
