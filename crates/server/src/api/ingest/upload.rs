//! The upload of one body's rows.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderValue;
use serde::Serialize;
use streamtable_format::Note;
use streamtable_schema::{ColumnPolicy, TIMESTAMP_COLUMN, TablePath, is_row_time};
use streamtable_store::{Batch, LineNumber, LineNumberError, OnDuplicate, Store};
use streamtable_url::{BaseUrl, panel_url};
use tokio::time::Instant;

use super::source::Line;
use crate::ApiError;
use crate::api::{STREAM_OFFSET, STREAM_WRITER};

/// Number of bytes after which rows are stored.
const BATCH_BYTES: usize = 4 << 20;

/// Number of rows after which rows are stored.
const BATCH_ROWS: usize = 10_000;

/// Columns with which the server identifies a row. Only the request may name its writer.
pub(super) const ASSIGNED: [&str; 4] = ["_client_id", "_line", "_position", "_writer"];

/// Reported if cells of [`ASSIGNED`] columns were left out.
const LEFT_OUT: &str =
    "columns that the server assigns anew were left out: _client_id, _line, _position, _writer";

/// Maximum number of rejected rows that a response lists.
const TOLD_REJECTED: usize = 1000;

/// The upload of one body's rows.
pub(super) struct Upload {
    store: Arc<dyn Store>,
    table: TablePath,
    writer: String,
    columns: ColumnPolicy,
    /// The number of the first row in `lines`.
    next: u64,
    lines: Vec<Bytes>,
    bytes: usize,
    since: Option<Instant>,
    /// The reasons why rows in `lines` will be rejected, by row number.
    refused: Vec<(u64, String)>,
    /// Whether a row may have a cell `timestamp`.
    has_timestamps: bool,
    /// Whether cells of [`ASSIGNED`] columns were left out.
    has_assigned: bool,
    tally: Tally,
}

/// The results so far.
#[derive(Debug, Default, Serialize)]
struct Tally {
    stored: u64,
    repeated: u64,
    rejected: Vec<Rejected>,
    rejected_rows: u64,
    end: u64,
}

/// A rejected row. Sending it again has the same result.
#[derive(Debug, Serialize)]
struct Rejected {
    line: u64,
    reason: String,
}

/// The response to a body whose rows are stored.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    tally: Tally,
    url: String,
    writer: String,
    next_line: u64,
    /// Results that a caller may not expect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// The client's id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
}

impl Upload {
    pub(super) async fn new(
        store: Arc<dyn Store>,
        table: TablePath,
        writer: String,
        first: LineNumber,
        columns: ColumnPolicy,
    ) -> Result<Self, ApiError> {
        let end = store.table(&table).await?.map_or(0, |info| info.end);
        let tally = Tally { end, ..Tally::default() };
        let (lines, refused, next) = (Vec::new(), Vec::new(), first.get());
        let (bytes, since) = (0, None);
        Ok(Self {
            store,
            table,
            writer,
            columns,
            next,
            lines,
            bytes,
            since,
            refused,
            has_timestamps: false,
            has_assigned: false,
            tally,
        })
    }

    /// Returns since when rows have been waiting, if there are any.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.since
    }

    /// Adds a row, and stores the waiting rows once there are enough.
    pub(super) async fn push(&mut self, line: Line) -> Result<(), ApiError> {
        let number = self.next + self.lines.len() as u64;
        LineNumber::new(number).map_err(out_of_range)?;
        self.bytes += line.len();
        self.has_assigned |= line.has_assigned;
        self.has_timestamps |= line.has_timestamp;
        // Append an empty line instead of a rejected row: the store rejects it, and its number is
        // used.
        self.lines.push(line.line.unwrap_or_else(|reason| {
            self.refused.push((number, reason));
            Bytes::new()
        }));
        self.since.get_or_insert_with(Instant::now);
        if self.bytes >= BATCH_BYTES || self.lines.len() >= BATCH_ROWS {
            self.store().await?;
        }
        Ok(())
    }

    /// Stores the waiting rows.
    pub(super) async fn store(&mut self) -> Result<(), ApiError> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let batch = Batch {
            table: self.table.clone(),
            writer: self.writer.clone(),
            first_line: LineNumber::new(self.next).map_err(out_of_range)?,
            lines: self.lines.clone(),
            on_duplicate: OnDuplicate::Ignore,
            columns: self.columns,
            received_at: streamtable_server_core::clock::timestamp(),
        };
        let appended = self.store.append(batch).await?;
        self.next += self.lines.len() as u64;
        self.lines.clear();
        (self.bytes, self.since) = (0, None);
        self.tally.stored += appended.stored;
        self.tally.repeated += appended.repeated;
        self.tally.end = appended.end;
        self.tally.rejected_rows += appended.rejected.len() as u64;
        for rejected in appended.rejected {
            if self.tally.rejected.len() == TOLD_REJECTED {
                break;
            }
            let ours = self.refused.binary_search_by_key(&rejected.line, |(line, _)| *line);
            let reason = ours.map_or(rejected.reason, |at| self.refused[at].1.clone());
            self.tally.rejected.push(Rejected { line: rejected.line, reason });
        }
        self.refused.clear();
        Ok(())
    }

    /// Returns the response after all rows are stored.
    pub(super) async fn answer(
        self,
        board: &BaseUrl,
        notes: Vec<Note>,
        request: Option<String>,
    ) -> Result<Response, ApiError> {
        let url = panel_url(board, &self.table);
        let mut notes: Vec<String> = notes.iter().map(Note::to_string).collect();
        notes.extend(self.notes().await?.into_iter().map(str::to_owned));
        let Self { tally, writer, next: next_line, .. } = self;
        Ok(Json(Answer { tally, url, writer, next_line, notes, request }).into_response())
    }

    async fn notes(&self) -> Result<Vec<&'static str>, ApiError> {
        let mut notes = Vec::new();
        if self.has_assigned {
            notes.push(LEFT_OUT);
        }
        if self.has_timestamps && self.is_timestamp_users().await? {
            notes.push(
                "column \"timestamp\" has values that are no instants with a zone, so it is a \
                 column like others, and the time of a row is `_timestamp`",
            );
        }
        Ok(notes)
    }

    /// Returns whether the table has a column `timestamp` that is not the time of its rows.
    async fn is_timestamp_users(&self) -> Result<bool, ApiError> {
        let columns = self.store.table(&self.table).await?.map_or(Vec::new(), |info| info.columns);
        let own = columns.iter().find(|column| column.name == TIMESTAMP_COLUMN);
        Ok(own.is_some_and(|own| !is_row_time(&own.name, &own.ty)))
    }

    /// Returns the response after an error: it says which rows are stored, and how to send the rest
    /// without duplicates.
    pub(super) fn failed(self, error: &ApiError) -> Response {
        let Self { tally: Tally { stored, repeated, .. }, writer, next, .. } = self;
        if stored + repeated == 0 {
            return error.clone().into_response();
        }
        let error = error.clone().with_note(&format!(
            "the {} rows before are stored; send the rows from number {next} on with the \
             Stream-Writer and the Stream-Offset of this response to avoid duplicates",
            stored + repeated
        ));
        let mut response = error.into_response();
        let headers = response.headers_mut();
        headers.insert(STREAM_OFFSET, HeaderValue::from(next));
        if let Ok(writer) = HeaderValue::try_from(writer) {
            headers.insert(STREAM_WRITER, writer);
        }
        response
    }
}

/// Rejects rows whose numbers, counted from the `Stream-Offset`, exceed the range of line numbers.
pub(super) fn out_of_range(error: LineNumberError) -> ApiError {
    ApiError::bad_request(format!("Stream-Offset is too large: {error}"))
}
