//! The rows of a body, in the format that its content type names.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use memchr::memmem;
use streamtable_format::json::{Piece, Splitter};
use streamtable_format::{ARROW_STREAM_TYPE, ArrowBodyError, ArrowRows, Note};
use streamtable_wire::binary::{self, BINARY_ROWS_TYPE, write_line};
use streamtable_wire::{HistoryLine, MAX_LINE_BYTES, json};

use super::upload::ASSIGNED;
use crate::ApiError;

/// About how many bytes of lines are made at a time: a few bytes of a body may be many lines.
const STEP_BYTES: usize = 1 << 20;

/// A row of a body.
#[derive(Debug)]
pub(super) struct Line {
    /// The line for the store, or why the row is rejected.
    pub(super) line: Result<Bytes, String>,
    /// Whether cells were left out that the server assigns.
    pub(super) has_assigned: bool,
    /// Whether the row may have a cell `timestamp`.
    pub(super) has_timestamp: bool,
}

/// Splits a body into rows while it arrives.
pub(super) enum Source {
    /// JSON texts. This is the format of all content types but the others.
    Json {
        splitter: Splitter,
        pieces: Vec<Piece>,
    },
    Binary(binary::Splitter),
    /// An Arrow stream; `None` after one that could not be read.
    Arrow(Option<Box<ArrowRows>>),
}

impl Source {
    pub(super) fn new(headers: &HeaderMap) -> Self {
        let ty = headers.get(CONTENT_TYPE).and_then(|ty| ty.to_str().ok()).unwrap_or_default();
        let ty = ty.split(';').next().unwrap_or_default().trim();
        if ty.eq_ignore_ascii_case(BINARY_ROWS_TYPE) {
            Self::Binary(binary::Splitter::default())
        } else if ty.eq_ignore_ascii_case(ARROW_STREAM_TYPE) {
            Self::Arrow(Some(Box::default()))
        } else {
            Self::Json { splitter: Splitter::default(), pieces: Vec::new() }
        }
    }

    /// Adds the next bytes. Call it when there are no further lines.
    pub(super) fn push(&mut self, chunk: Bytes) -> Result<(), ApiError> {
        match self {
            Self::Json { splitter, pieces } => splitter.push(&chunk, pieces).map_err(invalid)?,
            Self::Binary(splitter) => splitter.push(chunk),
            Self::Arrow(rows) => rows.iter_mut().for_each(|rows| rows.push(chunk.clone())),
        }
        Ok(())
    }

    /// Ends the body. There may be further lines.
    pub(super) fn finish(&mut self) -> Result<(), ApiError> {
        match self {
            Self::Json { splitter, pieces } => splitter.finish(pieces).map_err(invalid),
            Self::Binary(splitter) => splitter.finish().map_err(invalid),
            Self::Arrow(Some(rows)) => rows.finish().map_err(invalid),
            Self::Arrow(None) => Ok(()),
        }
    }

    /// Appends some of the next lines to `out`; none if there are no further ones. Lines before an error
    /// are valid.
    pub(super) async fn lines(&mut self, out: &mut Vec<Line>) -> Result<(), ApiError> {
        match self {
            Self::Json { pieces, .. } => {
                out.extend(pieces.drain(..).map(Line::json));
                Ok(())
            }
            Self::Binary(splitter) => binary_lines(splitter, out).map_err(|error| match error {
                binary::SplitError::Repetition => too_large(error),
                error => invalid(error),
            }),
            Self::Arrow(rows) => {
                let Some(mut stream) = rows.take() else { return Ok(()) };
                // On a thread of its own: a batch takes long, and the reader may panic on bytes that no
                // writer writes.
                let work = tokio::task::spawn_blocking(move || {
                    let mut lines = Vec::new();
                    let result = arrow_lines(&mut stream, &mut lines);
                    (stream, lines, result)
                });
                let (stream, lines, result) =
                    work.await.map_err(|_| invalid("the Arrow stream is invalid"))?;
                out.extend(lines);
                *rows = Some(stream);
                result.map_err(|error| match error {
                    ArrowBodyError::TooLarge | ArrowBodyError::TooManyValues => too_large(error),
                    error => invalid(error),
                })
            }
        }
    }

    /// Returns what reading has changed.
    pub(super) fn take_notes(&mut self) -> Vec<Note> {
        match self {
            Self::Arrow(Some(rows)) => rows.take_notes(),
            _ => Vec::new(),
        }
    }
}

fn invalid(error: impl ToString) -> ApiError {
    ApiError::bad_request(error.to_string())
}

fn too_large(error: impl ToString) -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string())
}

fn too_long() -> String {
    format!("the row has more than {MAX_LINE_BYTES} bytes")
}

fn binary_lines(
    splitter: &mut binary::Splitter,
    out: &mut Vec<Line>,
) -> Result<(), binary::SplitError> {
    let mut bytes = 0;
    while bytes < STEP_BYTES
        && let Some(piece) = splitter.next_piece()?
    {
        let line = match piece {
            binary::Piece::Line(line) => Ok(line),
            binary::Piece::TooLong => Err(too_long()),
            binary::Piece::NoShape => Err("the row has a shape that the body lacks".to_owned()),
        };
        let line = Line::binary(line);
        bytes += line.len();
        out.push(line);
    }
    Ok(())
}

fn arrow_lines(rows: &mut ArrowRows, out: &mut Vec<Line>) -> Result<(), ArrowBodyError> {
    let mut bytes = 0;
    while bytes < STEP_BYTES
        && let Some(row) = rows.next_row(MAX_LINE_BYTES)?
    {
        let mut has_assigned = false;
        let line = row.and_then(|mut row| {
            for name in ASSIGNED {
                has_assigned |= row.remove(name).is_some();
            }
            let mut line = Vec::new();
            write_line(&HistoryLine::of_row(row), &mut line).map_err(|error| error.to_string())?;
            if line.len() <= MAX_LINE_BYTES { Ok(line.into()) } else { Err(too_long()) }
        });
        let line = Line { has_assigned, ..Line::binary(line) };
        bytes += line.len();
        out.push(line);
    }
    Ok(())
}

impl Line {
    /// `timestamp` is the name of the column as lines of this form contain it.
    fn new(line: Result<Bytes, String>, timestamp: &[u8]) -> Self {
        let is_named = |line: &Bytes| memmem::find(line, timestamp).is_some();
        let has_timestamp = line.as_ref().is_ok_and(is_named);
        Self { line, has_assigned: false, has_timestamp }
    }

    fn binary(line: Result<Bytes, String>) -> Self {
        Self::new(line, b"timestamp")
    }

    fn json(piece: Piece) -> Self {
        let line = |line| Self::new(line, b"\"timestamp\"");
        match piece {
            Piece::Row { text, .. } => match without_assigned(&text) {
                None => line(Ok(text)),
                Some(rest) => Self { has_assigned: true, ..line(Ok(rest.into())) },
            },
            Piece::TooLong { .. } => line(Err(too_long())),
        }
    }

    /// Returns how many bytes the row counts for.
    pub(super) fn len(&self) -> usize {
        self.line.as_ref().map_or(0, Bytes::len).max(1)
    }
}

/// Returns a row without its cells in [`ASSIGNED`] columns, if it has any, such as a row of an
/// export.
fn without_assigned(line: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(line).ok()?;
    // Only parse rows that may contain one of the names, possibly escaped.
    if !text.contains("\\u") && !ASSIGNED.iter().any(|name| text.contains(name)) {
        return None;
    }
    // The store reports rows that are not JSON.
    let (rest, is_found) = json::without(text, &ASSIGNED).ok()?;
    is_found.then_some(rest)
}
