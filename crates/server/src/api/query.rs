//! `POST /api/query`: SQL queries.

use std::time::Duration;

use arrow::error::ArrowError;
use axum::BoxError;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, TryStreamExt, stream};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use streamtable_store::{Rows, SqlQuery};

use super::ApiState;
use super::encode::{Encoder, Format};
use super::extract::Params;
use crate::{ApiError, Principal};

/// Timeout of a query if the request sets none.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum timeout of a query.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// The parameters of a query, from the request's body or query string.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QueryParams {
    sql: Option<String>,
    entity: Option<String>,
    project: Option<String>,
    /// In seconds.
    timeout: Option<f64>,
    format: Option<String>,
}

/// Runs a query, and returns its result in the format that `Accept` requests.
///
/// Rows are sent as they are found. An error after the first rows aborts the response, so that a
/// partial result cannot be mistaken for a complete one.
pub(super) async fn query(
    State(state): State<ApiState>,
    principal: Principal,
    Params(params): Params<QueryParams>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let body = body.map_err(|error| ApiError::new(error.status(), error.body_text()))?;
    let options = read(&headers, &body, params)?;
    let format = match &options.format {
        Some(name) => named(name).ok_or_else(|| not_acceptable(name))?,
        None => negotiate(&headers)?,
    };
    let home = match (options.entity, options.project) {
        (Some(entity), Some(project)) => Some((entity, project)),
        (None, None) => None,
        _ => return Err(ApiError::bad_request("`entity` and `project` must be given together")),
    };
    let query = SqlQuery {
        sql: options.sql.unwrap_or_default(),
        home,
        entities: principal.entities(),
        timeout: timeout(options.timeout)?,
        positions: false,
        types: format.types(),
        owner: Some(principal.owner()),
    };
    let rows = state.store.query(query).await?;
    answer(rows, format).await
}

/// Combines the parameters of the body and of the query string. The body takes precedence.
fn read(headers: &HeaderMap, body: &Bytes, params: QueryParams) -> Result<QueryParams, ApiError> {
    let text = std::str::from_utf8(body)
        .map_err(|_| ApiError::bad_request("the body is not UTF-8"))?
        .trim();
    let is_json = match headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
        Some(ty) if ty.starts_with("application/json") => true,
        Some(ty) if ty.starts_with("text/plain") || ty.starts_with("application/sql") => false,
        // curl's default content type says nothing about the body. No SQL begins with a brace.
        _ => text.starts_with('{'),
    };
    let from_body = if is_json {
        serde_json::from_str(text).map_err(|error| ApiError::bad_request(error.to_string()))?
    } else {
        let sql = Some(text.to_owned()).filter(|text| !text.is_empty());
        QueryParams { sql, ..QueryParams::default() }
    };
    let options = QueryParams {
        sql: from_body.sql.or(params.sql),
        entity: from_body.entity.or(params.entity),
        project: from_body.project.or(params.project),
        timeout: from_body.timeout.or(params.timeout),
        format: from_body.format.or(params.format),
    };
    if options.sql.as_ref().is_none_or(|sql| sql.trim().is_empty()) {
        return Err(ApiError::bad_request("no SQL: send it as text, or as {\"sql\":\"select …\"}"));
    }
    Ok(options)
}

fn timeout(seconds: Option<f64>) -> Result<Duration, ApiError> {
    let Some(seconds) = seconds else { return Ok(DEFAULT_TIMEOUT) };
    match Duration::try_from_secs_f64(seconds) {
        Ok(timeout) if !timeout.is_zero() => Ok(timeout.min(MAX_TIMEOUT)),
        // The timeout is too long for a `Duration`.
        Err(_) if seconds > 0.0 => Ok(MAX_TIMEOUT),
        _ => Err(ApiError::bad_request("`timeout` must be a number of seconds above 0")),
    }
}

pub(crate) fn named(name: &str) -> Option<Format> {
    Format::ALL.into_iter().find(|f| f.names().iter().any(|n| n.eq_ignore_ascii_case(name)))
}

/// Selects the supported format that the caller prefers.
fn negotiate(headers: &HeaderMap) -> Result<Format, ApiError> {
    let mut best: Option<(Format, f32)> = None;
    let mut is_any = true;
    for value in headers.get_all(ACCEPT) {
        let value = value.to_str().map_err(|_| not_acceptable("that"))?;
        for range in value.split(',').map(str::trim).filter(|range| !range.is_empty()) {
            is_any = false;
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let quality = parts.find_map(|p| p.strip_prefix("q=")).map_or(Ok(1.0), str::parse);
            let format = match name {
                "*/*" | "application/*" => Some(Format::Json),
                "text/*" => Some(Format::Csv),
                name if name.contains('/') => named(name),
                _ => None,
            };
            if let (Some(format), Ok(quality)) = (format, quality)
                && quality > best.map_or(0.0, |(_, best)| best)
            {
                best = Some((format, quality));
            }
        }
    }
    match best {
        Some((format, _)) => Ok(format),
        None if is_any => Ok(Format::Json),
        None => Err(not_acceptable("any of those")),
    }
}

fn not_acceptable(what: &str) -> ApiError {
    let forms = Format::ALL.map(|format| format.names()[0]).join(", ");
    let message = format!("cannot respond with {what:?}; supported formats: {forms}");
    ApiError::new(StatusCode::NOT_ACCEPTABLE, message)
}

pub(crate) async fn answer(rows: Rows, format: Format) -> Result<Response, ApiError> {
    let mut encoder = Encoder::new(format, &rows.schema).map_err(|error| unfit(&error))?;
    let mut batches = rows.batches.fuse();
    let mut start = encoder.begin();
    // Most errors occur before the first rows, when the response can still have an error status.
    if let Some(batch) = batches.try_next().await? {
        start.extend(encoder.batch(&batch).map_err(|error| unfit(&error))?);
    }
    let rest = stream::try_unfold(Some((encoder, batches)), |state| async move {
        let Some((mut encoder, mut batches)) = state else { return Ok(None) };
        let next: Result<_, BoxError> = match batches.try_next().await {
            Ok(Some(batch)) => encoder
                .batch(&batch)
                .map(|bytes| (bytes, Some((encoder, batches))))
                .map_err(Into::into),
            Ok(None) => encoder.finish().map(|bytes| (bytes, None)).map_err(Into::into),
            Err(error) => Err(error.into()),
        };
        next.map(Some).inspect_err(|error| tracing::warn!(%error, "a response was aborted"))
    });
    let body = stream::once(async { Ok(start) }).chain(rest).map_ok(Bytes::from);
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(format.content_type())),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Returns the error for a column whose type the format does not support.
fn unfit(error: &ArrowError) -> ApiError {
    ApiError::bad_request(format!("this format does not support the result: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_accept(accept: &[&'static str], expected: Option<Format>) {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(ACCEPT, HeaderValue::from_static(value));
        }
        assert_eq!(negotiate(&headers).ok(), expected);
    }

    #[test]
    fn forms() {
        check_accept(&[], Some(Format::Json));
        check_accept(&["*/*"], Some(Format::Json));
        check_accept(&["text/csv"], Some(Format::Csv));
        check_accept(&["text/html, text/csv;q=0.5, */*;q=0.1"], Some(Format::Csv));
        check_accept(&["application/vnd.apache.arrow.stream"], Some(Format::Arrow));
        check_accept(&["text/html", "application/vnd.apache.parquet"], Some(Format::Parquet));
        check_accept(&["application/jsonl;q=0.9,text/csv;q=0.8"], Some(Format::Ndjson));
        check_accept(&["image/png"], None);
        check_accept(&["text/csv;q=0"], None);
        check_accept(&["csv"], None);
        assert_eq!(named("CSV"), Some(Format::Csv));
        assert_eq!(named("xml"), None);
    }

    #[track_caller]
    fn check_body(content_type: &'static str, body: &'static str, expected: Result<&str, &str>) {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let found = read(&headers, &Bytes::from_static(body.as_bytes()), QueryParams::default());
        let found = found.map(|options| options.sql.unwrap()).map_err(|e| e.to_string());
        match expected {
            Ok(sql) => assert_eq!(found.as_deref(), Ok(sql)),
            Err(part) => assert!(found.unwrap_err().contains(part)),
        }
    }

    #[test]
    fn bodies() {
        check_body("", "select 1", Ok("select 1"));
        check_body("text/plain;charset=utf-8", " select 1\n", Ok("select 1"));
        check_body("application/x-www-form-urlencoded", r#"{"sql":"select 1"}"#, Ok("select 1"));
        check_body("application/json", r#"{"sql":"select 1","timeout":5}"#, Ok("select 1"));
        check_body("application/json", "select 1", Err("expected value"));
        check_body("application/json", r#"{"sq":"select 1"}"#, Err("unknown field `sq`"));
        check_body("", "  ", Err("no SQL"));
        check_body("", r#"{"entity":"e"}"#, Err("no SQL"));
    }

    #[test]
    fn timeouts() {
        assert_eq!(timeout(None), Ok(DEFAULT_TIMEOUT));
        assert_eq!(timeout(Some(0.5)), Ok(Duration::from_millis(500)));
        for long in [1e9, 1e300, f64::INFINITY] {
            assert_eq!(timeout(Some(long)), Ok(MAX_TIMEOUT));
        }
        for bad in [0.0, -1.0, f64::NAN] {
            assert!(timeout(Some(bad)).is_err());
        }
    }
}
