//! Downloads of files.

use std::ops::Range;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use streamtable_server_core::{ApiError, Principal, Right};

use super::content::{is_active, is_shown};
use super::upload::check;
use super::{Slot, encode, mimetype};
use crate::Wandb;
use crate::catalog::RunLocation;

/// Content security policy for uploaded documents: styles and inline media only, no scripts.
const SANDBOX: &str = "sandbox; default-src 'none'; img-src data:; media-src data:; \
    style-src 'unsafe-inline'; font-src data:";

/// Serves the file of a signed URL. The `Authorization` header is ignored.
pub(super) async fn signed(
    State(state): State<Wandb>,
    Path(slot): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let (name, sha256) = match check(&state, "GET", &slot, query.as_deref()).await? {
        Slot::RunFile { run, path } => {
            let file = state.catalog.run_file(run, &path).await?;
            (path, file.map(|file| file.sha256))
        }
        Slot::ArtifactFile { id } => {
            let file = state.catalog.artifact_file(id).await?.ok_or_else(no_file)?;
            (file.name, file.sha256)
        }
        Slot::Manifest { id } => {
            let manifest = state.catalog.manifest(id).await?.ok_or_else(no_file)?;
            (manifest.name, manifest.sha256)
        }
    };
    serve(&state, &name, &sha256.ok_or_else(no_file)?, &headers).await
}

/// Serves a run's file by its path. If `?sha256=…` names its digest, the response may be cached
/// forever.
pub(super) async fn run_file(
    State(state): State<Wandb>,
    principal: Principal,
    Path((entity, project, run, path)): Path<(String, String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response<Body>, ApiError> {
    principal.check(Right::Read, &entity)?;
    let run = state.catalog.run(&RunLocation::new(&entity, &project, &run)).await?;
    let run = run.ok_or_else(no_file)?;
    let file = state.catalog.run_file(run.id, &path).await?.ok_or_else(no_file)?;
    let mut response = serve(&state, &path, &file.sha256, &headers).await?;
    let asked = query.as_deref().and_then(|query| query.strip_prefix("sha256="));
    if asked.is_some_and(|asked| asked == file.sha256) {
        // A URL with this digest can never have other content.
        let forever = HeaderValue::from_static("private, max-age=31536000, immutable");
        response.headers_mut().insert(CACHE_CONTROL, forever);
    }
    Ok(response)
}

/// Serves an artifact's file by its digest.
pub(super) async fn artifact_v1(
    State(state): State<Wandb>,
    principal: Principal,
    Path((entity, digest)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response<Body>, ApiError> {
    artifact(&state, &principal, &entity, &digest, &headers).await
}

/// Serves an artifact's file under the newer URL layout. SDK versions build the path differently;
/// only the digest is used.
pub(super) async fn artifact_v2(
    State(state): State<Wandb>,
    principal: Principal,
    Path((_region, entity, rest)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response<Body>, ApiError> {
    artifact(&state, &principal, &entity, &rest, &headers).await
}

async fn artifact(
    state: &Wandb,
    principal: &Principal,
    entity: &str,
    rest: &str,
    headers: &HeaderMap,
) -> Result<Response<Body>, ApiError> {
    principal.check(Right::Read, entity)?;
    let md5 = rest.rsplit('/').find_map(digest_of_hex).ok_or_else(no_file)?;
    let file = state.catalog.file_of_entity(entity, &md5).await?.ok_or_else(no_file)?;
    serve(state, &file.name, &file.sha256.ok_or_else(no_file)?, headers).await
}

/// Converts an MD5 from hexadecimal to base64.
fn digest_of_hex(text: &str) -> Option<String> {
    if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |i| u8::from_str_radix(&text[i..i + 2], 16).ok();
    let bytes: Option<Vec<u8>> = (0..32).step_by(2).map(byte).collect();
    bytes.map(|bytes| BASE64_STANDARD.encode(bytes))
}

fn no_file() -> ApiError {
    ApiError::not_found("file not found")
}

/// Returns a file, or the requested range of it.
pub(crate) async fn serve(
    state: &Wandb,
    name: &str,
    sha256: &str,
    request: &HeaderMap,
) -> Result<Response<Body>, ApiError> {
    // The catalog names the file: if it is not there, it is lost, and that is reported.
    let length = match state.files.len(sha256).await? {
        Some(length) => length,
        None => state.files.verify(sha256).await?.ok_or_else(no_file)?,
    };
    let etag = format!("\"{sha256}\"");
    let text = |name: HeaderName| request.get(name).and_then(|value| value.to_str().ok());
    let mut response = Response::new(Body::empty());
    let mimetype = mimetype(name);
    let destination = request.get("sec-fetch-dest").and_then(|value| value.to_str().ok());
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(ETAG, &etag);
    set(ACCEPT_RANGES, "bytes");
    // The content under a path may change, so browsers must revalidate; the usual response is 304.
    set(CACHE_CONTROL, "private, no-cache");
    set(CONTENT_TYPE, mimetype);
    set(CONTENT_SECURITY_POLICY, SANDBOX);
    let is_embedded = matches!(destination, Some("iframe" | "image" | "audio" | "video"));
    let disposition = if is_shown(mimetype) || (is_active(mimetype) && is_embedded) {
        "inline"
    } else {
        "attachment"
    };
    let file_name = encode(name.rsplit('/').next().unwrap_or_default());
    set(CONTENT_DISPOSITION, &format!("{disposition}; filename*=UTF-8''{file_name}"));

    let matches =
        |list: &str| list.split(',').any(|tag| matches!(tag.trim(), "*") || tag.trim() == etag);
    if text(IF_NONE_MATCH).is_some_and(matches) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let wants_range = text(IF_RANGE).is_none_or(|tag| tag.trim() == etag);
    let range = match text(RANGE).filter(|_| wants_range).map(|range| parse_range(range, length)) {
        None | Some(Wanted::All) => 0..length,
        Some(Wanted::Part(range)) => {
            set(CONTENT_RANGE, &format!("bytes {}-{}/{length}", range.start, range.end - 1));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            range
        }
        Some(Wanted::Nothing) => {
            set(CONTENT_RANGE, &format!("bytes */{length}"));
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            return Ok(response);
        }
    };
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    *response.body_mut() = Body::from_stream(state.files.read(sha256, range).await?);
    Ok(response)
}

/// The result of parsing a `Range` header.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    /// The whole file: there is no range, or one that may be ignored.
    All,
    Part(Range<u64>),
    /// The range is not satisfiable.
    Nothing,
}

fn parse_range(text: &str, length: u64) -> Wanted {
    let Some((start, end)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Wanted::All;
    };
    let range = match (start.trim().parse::<u64>(), end.trim().parse::<u64>()) {
        (Ok(start), Ok(end)) if start <= end => start..end.saturating_add(1).min(length),
        (Ok(start), Err(_)) if end.trim().is_empty() => start..length,
        (Err(_), Ok(last)) if start.trim().is_empty() => length.saturating_sub(last)..length,
        _ => return Wanted::All,
    };
    if range.is_empty() { Wanted::Nothing } else { Wanted::Part(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_headers_are_parsed() {
        #[track_caller]
        fn check(text: &str, expected: Wanted) {
            assert_eq!(parse_range(text, 10), expected);
        }
        check("bytes=0-3", Wanted::Part(0..4));
        check("bytes=3-", Wanted::Part(3..10));
        check("bytes=-3", Wanted::Part(7..10));
        check("bytes=-30", Wanted::Part(0..10));
        check("bytes=9-100", Wanted::Part(9..10));
        check("bytes=0-18446744073709551615", Wanted::Part(0..10));
        check("bytes=10-", Wanted::Nothing);
        check("bytes=-0", Wanted::Nothing);
        for all in ["", "bytes", "bytes=", "bytes=-", "bytes=3-1", "bytes=0-1,3-4", "lines=0-1"] {
            check(all, Wanted::All);
        }
    }

    #[test]
    fn hexadecimal_digests_are_converted() {
        let hex = "5d41402abc4b2a76b9719d911017c592";
        assert_eq!(digest_of_hex(hex).as_deref(), Some("XUFAKrxLKna5cZ2REBfFkg=="));
        assert_eq!(digest_of_hex(&hex[1..]), None);
        assert_eq!(digest_of_hex(&"é".repeat(16)), None);
    }
}
