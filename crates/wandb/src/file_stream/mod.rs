//! Posts to file streams: rows, console lines and states of runs.

mod post;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use streamtable_schema::{ColumnPolicy, TablePath};
use streamtable_server_core::{ApiError, Principal, Right, RowsStored, clock};
use streamtable_store::{Batch, OnDuplicate, check_writer};
use streamtable_wire::{
    ACKS_HEADER, ASYNC_HEADER, COLUMNS_HEADER, FileStreamAnswer, RejectedLine, request_id,
};

use crate::Wandb;
use crate::catalog::{Run, RunEvent, RunLocation};

use post::{Lines, Post};

/// Header with the id of the writer, sent by current SDK versions.
const WRITER_HEADER: &str = "x-wandb-async-client-id";

/// Maximum length of a writer's id.
const MAX_WRITER_BYTES: usize = 256;

/// Interval at which a run's heartbeat is recorded if nothing else changes.
const HEARTBEAT_SECONDS: u64 = 5;

pub(crate) fn router() -> Router<Wandb> {
    Router::new().route("/files/{entity}/{project}/{run}/file_stream", post(file_stream))
}

/// Stores the contents of a post: first its rows, durably, then the rest. A client that misses the
/// response sends the post again, which then changes nothing.
async fn file_stream(
    State(state): State<Wandb>,
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
        state.core.bodies.read(&headers, body, state.config.max_body_bytes).await?;
    let max_lines = state.config.max_lines;
    let post = state.core.bodies.run(body.len(), move || Post::parse(&body, max_lines)).await?;
    if post.rows.is_some() {
        state.shared.resumes.end(run.id);
    }
    let acked = post.rows.as_ref().map(|rows| rows.end);
    let rejected = match &post.rows {
        Some(rows) => append(&state, &run, &mode, rows).await?,
        None => Vec::new(),
    };
    let event = post.event(&run, mode.writer.is_some());
    if !event.is_heartbeat() || is_heartbeat_due(&state, run.id) {
        state.catalog.record(run.id, event).await?;
    }
    let answer =
        FileStreamAnswer { acked, request: request_id(&headers), rejected, stopped: false };
    let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let acks = (HeaderName::from_static(ACKS_HEADER), HeaderValue::from_static("1"));
    Ok(([json, acks], answer.to_bytes()).into_response())
}

/// Rows of the client's native requests mean the same for its run as a post to the file stream.
#[async_trait]
impl RowsStored for Wandb {
    async fn rows_stored(&self, table: &TablePath) -> Result<(), ApiError> {
        let at = RunLocation::new(table.entity(), table.project(), table.table());
        let Some(run) = self.catalog.run(&at).await? else { return Ok(()) };
        self.shared.resumes.end(run.id);
        let state = (run.state != "running").then_some("running");
        let event = RunEvent { state, ..RunEvent::default() };
        if !event.is_heartbeat() || is_heartbeat_due(self, run.id) {
            self.catalog.record(run.id, event).await?;
        }
        Ok(())
    }
}

/// How the rows of a post are stored.
struct Mode {
    /// Whether a line is stored only once, so that writers do not overwrite each other.
    is_async: bool,
    /// The writer of rows that name none.
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
                let message = format!("{COLUMNS_HEADER} must be strict or evolve, not {other:?}");
                return Err(ApiError::bad_request(message));
            }
        };
        let writer = text(WRITER_HEADER).map(str::to_owned);
        if writer.as_ref().is_some_and(|writer| writer.len() > MAX_WRITER_BYTES) {
            return Err(ApiError::bad_request(format!("{WRITER_HEADER} is too long")));
        }
        Ok(Self { is_async, writer, columns })
    }

    /// Returns the writer of lines that name none.
    fn writer(&self, table: &TablePath) -> Result<String, ApiError> {
        match &self.writer {
            _ if !self.is_async => Ok(table.table().to_owned()),
            // Without a writer, repeated lines cannot be detected: all lines are stored.
            None => Ok(format!("unnamed-{}", uuid::Uuid::new_v4())),
            Some(writer) => {
                check_writer(table, writer)
                    .map_err(|error| ApiError::bad_request(format!("{WRITER_HEADER}: {error}")))?;
                Ok(writer.clone())
            }
        }
    }
}

async fn append(
    state: &Wandb,
    run: &Run,
    mode: &Mode,
    rows: &Lines,
) -> Result<Vec<RejectedLine>, ApiError> {
    let table: TablePath = run.table().map_err(|e| ApiError::bad_request(e.to_string()))?;
    let writer = mode.writer(&table)?;
    let mut rejected = rows.rejected.clone();
    for (first_line, lines) in &rows.parts {
        let batch = Batch {
            table: table.clone(),
            writer: writer.clone(),
            first_line: *first_line,
            lines: lines.clone(),
            on_duplicate: if mode.is_async { OnDuplicate::Ignore } else { OnDuplicate::Replace },
            columns: mode.columns,
            received_at: clock::timestamp(),
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

/// Returns whether a run's recorded heartbeat is old enough to be updated.
fn is_heartbeat_due(state: &Wandb, run: i64) -> bool {
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
