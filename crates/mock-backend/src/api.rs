//! The native API for reading.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use serde::Deserialize;
use streamtable_schema::{Row, TIMESTAMP_COLUMN, TablePath, Timestamp};
use streamtable_wire::HistoryLine;
use streamtable_wire::api::{self, EVENTS_TYPE, ROWS_TYPE, RowHead, STREAM_END};

use crate::refusal::{Refusal, response};
use crate::run::{Run, StoredLine};

/// Number of rows in a response, unless the request has a limit.
const DEFAULT_LIMIT: u64 = 1000;

/// The body of a query.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlRequest {
    pub(crate) sql: String,
    pub(crate) entity: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) timeout: Option<f64>,
}

impl SqlRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let request: Self = serde_json::from_slice(body)
            .map_err(|error| Refusal::bad(format!("the body is not a query: {error}")))?;
        if request.entity.is_some() != request.project.is_some() {
            return Err(Refusal::bad("`entity` and `project` must be given together"));
        }
        if request.timeout.is_some_and(|seconds| seconds <= 0.0) {
            return Err(Refusal::bad("`timeout` must be a number of seconds above 0"));
        }
        Ok(request)
    }
}

/// The parameters of a request for rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Params {
    from: Option<i64>,
    limit: Option<u64>,
}

impl Params {
    pub(crate) fn parse(query: &str) -> Result<Self, Refusal> {
        let mut params = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let is_valid = match name {
                "from" => value.parse().map(|from| params.from = Some(from)).is_ok(),
                "limit" => value.parse().map(|limit| params.limit = Some(limit)).is_ok(),
                _ => false,
            };
            if !is_valid {
                return Err(Refusal::bad(format!("{pair:?} is not a parameter of this path")));
            }
        }
        Ok(params)
    }
}

/// Responds with the rows that the parameters select, one per line.
pub(crate) fn rows(run: &Run, params: &Params) -> Response<Bytes> {
    let limit = params.limit.unwrap_or(DEFAULT_LIMIT);
    let mut body = Vec::new();
    for (position, line) in from(run, params.from.unwrap_or(0)).take(size(limit)) {
        write(&mut body, position, line);
        body.push(b'\n');
    }
    let mut response = response(StatusCode::OK, ROWS_TYPE, body.into());
    response.headers_mut().insert(STREAM_END, HeaderValue::from(run.lines().len()));
    response
}

/// Responds with the rows from a position on as events. The response ends after the rows that are
/// stored now, as that of a server does that shuts down: a reader connects again.
pub(crate) fn tail(run: &Run, params: &Params) -> Result<Response<Bytes>, Refusal> {
    if params.limit.is_some() {
        return Err(Refusal::bad("a tail has no limit"));
    }
    let end = run.lines().len() as i64;
    let mut body = b":\n\n".to_vec();
    for (position, line) in from(run, params.from.unwrap_or(end)) {
        body.extend_from_slice(format!("id: {position}\ndata: ").as_bytes());
        write(&mut body, position, line);
        body.extend_from_slice(b"\n\n");
    }
    Ok(response(StatusCode::OK, EVENTS_TYPE, body.into()))
}

/// Responds with the result of a query.
pub(crate) fn result(rows: &[Row]) -> Response<Bytes> {
    let mut body = Vec::new();
    for row in rows {
        api::write_fields(&mut body, row);
        body.push(b'\n');
    }
    response(StatusCode::OK, ROWS_TYPE, body.into())
}

pub(crate) fn no_table(table: &TablePath) -> Refusal {
    Refusal::plain(StatusCode::NOT_FOUND, format!("there is no table {table}"))
}

fn from(run: &Run, position: i64) -> impl Iterator<Item = (usize, &StoredLine)> {
    let start = match u64::try_from(position) {
        Ok(position) => size(position),
        Err(_) => run.lines().len().saturating_sub(size(position.unsigned_abs())),
    };
    run.lines().iter().enumerate().skip(start)
}

fn size(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

fn write(out: &mut Vec<u8>, position: usize, line: &StoredLine) {
    let HistoryLine { row, logged_at, .. } =
        HistoryLine::parse(&line.text).expect("what was stored was read before");
    // A cell `timestamp` that holds an instant is the time of its row.
    let at = row.get(TIMESTAMP_COLUMN).and_then(|cell| cell.as_timestamp()).or(logged_at);
    let head = RowHead {
        position: position as u64,
        writer: line.writer.as_deref().unwrap_or_default(),
        line: line.line,
        step: None,
        logged_at: at.unwrap_or(Timestamp::from_micros(0)),
    };
    api::write_row(out, head, &row);
}
