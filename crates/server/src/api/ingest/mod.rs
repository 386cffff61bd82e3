//! `POST …/rows`: appends rows without an SDK.

mod body;
mod source;
mod upload;

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use streamtable_schema::{ColumnPolicy, TablePath};
use streamtable_store::{LineNumber, check_writer};
use streamtable_url::BaseUrl;
use streamtable_wire::{COLUMNS_HEADER, ROWS_HEADER, ROWS_VERSION, request_id};
use tokio::time::timeout_at;
use uuid::Uuid;

use self::body::{BodyError, Inflated};
use self::source::Source;
use self::upload::{Upload, out_of_range};
use super::extract::{Board, Table};
use super::{ApiState, STREAM_OFFSET, STREAM_WRITER};
use crate::{ApiError, Principal, Right};

/// How long rows wait for more rows of the same body before they are stored.
const LINGER: Duration = Duration::from_millis(100);

/// Maximum size of a body in bytes, uncompressed.
const MAX_BODY_BYTES: u64 = 1 << 30;

/// Appends rows: JSON objects one after another (usually one per line), or one JSON array; by their
/// content types also binary rows and an Arrow stream.
///
/// The rows are stored while the body arrives, so that those of a slow pipe are visible at once. An
/// invalid row is rejected alone and reported in the response.
pub(super) async fn append(
    State(state): State<ApiState>,
    principal: Principal,
    Board(board): Board,
    table: Table,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let mut response = match store(&state, &principal, board, table, &headers, body).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    // A client that sends binary rows learns from a refusal whether it is of a server that knows them.
    let version = HeaderValue::from_static(ROWS_VERSION);
    response.headers_mut().insert(ROWS_HEADER, version);
    response
}

async fn store(
    state: &ApiState,
    principal: &Principal,
    board: BaseUrl,
    table: Table,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let table = table.require(Right::Write, principal)?;
    let (writer, offset) = writer(headers, &table)?;
    let columns = columns(headers)?;
    let mut body = Inflated::new(body, headers, MAX_BODY_BYTES)?;
    let mut source = Source::new(headers);
    let mut upload =
        Upload::new(state.store.clone(), table.clone(), writer, offset, columns).await?;
    match receive(&mut body, &mut source, &mut upload).await {
        Ok(()) => {
            if let (Source::Binary(_), Some(runs)) = (&source, &state.runs) {
                runs.rows_stored(&table).await?;
            }
            upload.answer(&board, source.take_notes(), request_id(headers)).await
        }
        Err(error) => Ok(upload.failed(&error)),
    }
}

/// Stores the body's rows while they arrive.
async fn receive(
    body: &mut Inflated,
    source: &mut Source,
    upload: &mut Upload,
) -> Result<(), ApiError> {
    let mut taken = 0;
    loop {
        let chunk = match upload.waiting_since() {
            None => body.next().await?,
            Some(since) => match timeout_at(since + LINGER, body.next()).await {
                Ok(chunk) => chunk?,
                Err(_) => {
                    upload.store().await?;
                    continue;
                }
            },
        };
        let is_end = chunk.is_none();
        let split = match chunk {
            Some(chunk) => source.push(chunk),
            None => source.finish(),
        };
        take_lines(source, upload, &mut taken).await?;
        split?;
        if is_end {
            return upload.store().await;
        }
    }
}

/// Takes the rows that are complete. Those before an error are taken, too.
async fn take_lines(
    source: &mut Source,
    upload: &mut Upload,
    taken: &mut u64,
) -> Result<(), ApiError> {
    let mut lines = Vec::new();
    loop {
        let split = source.lines(&mut lines).await;
        let is_last = lines.is_empty();
        for line in lines.drain(..) {
            *taken += line.len() as u64;
            // A short body may contain many rows.
            if *taken > MAX_BODY_BYTES {
                return Err(BodyError::TooLarge { limit: MAX_BODY_BYTES }.into());
            }
            upload.push(line).await?;
        }
        split?;
        if is_last {
            return Ok(());
        }
    }
}

/// Returns the writer and the number of its first row: a new writer if the request names none.
fn writer(headers: &HeaderMap, table: &TablePath) -> Result<(String, LineNumber), ApiError> {
    match (text(headers, &STREAM_WRITER)?, text(headers, &STREAM_OFFSET)?) {
        (None, None) => Ok((Uuid::new_v4().to_string(), LineNumber::default())),
        (Some(writer), Some(offset)) => {
            let is_usable = matches!(writer.len(), 1..=128)
                && writer.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_usable {
                return Err(ApiError::bad_request(
                    "Stream-Writer must be 1 to 128 visible ASCII characters, such as a UUID",
                ));
            }
            check_writer(table, writer)
                .map_err(|error| ApiError::bad_request(format!("Stream-Writer: {error}")))?;
            let offset = offset.parse().map_err(|_| {
                ApiError::bad_request("Stream-Offset must be the number of the first row, from 0")
            })?;
            Ok((writer.to_owned(), LineNumber::new(offset).map_err(out_of_range)?))
        }
        _ => Err(ApiError::bad_request(
            "Stream-Writer and Stream-Offset must be sent together: the writer, and the number of \
             its first row in this body",
        )),
    }
}

fn columns(headers: &HeaderMap) -> Result<ColumnPolicy, ApiError> {
    match text(headers, &HeaderName::from_static(COLUMNS_HEADER))? {
        None => Ok(ColumnPolicy::Evolve),
        Some(text) if text.eq_ignore_ascii_case("evolve") => Ok(ColumnPolicy::Evolve),
        Some(text) if text.eq_ignore_ascii_case("strict") => Ok(ColumnPolicy::Strict),
        Some(_) => Err(ApiError::bad_request("X-StreamTable-Columns must be `strict` or `evolve`")),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ApiError> {
    let text = headers.get(name).map(HeaderValue::to_str).transpose();
    text.map_err(|_| ApiError::bad_request(format!("{name} is not plain text")))
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Broken { .. } => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}
