//! Bodies within bounds.

use std::io::Read;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use futures_util::StreamExt;
use tokio::sync::OwnedSemaphorePermit;

use super::on_blocking_thread;
use crate::{ApiError, AppState};

/// How much larger than its gzip a body can be at most.
const MAX_RATIO: usize = 1032;

/// Reads a body of at most `limit` bytes, inflated if it is gzip.
///
/// The memory for it is taken out of what all bodies share, and given back with the permit.
pub(crate) async fn read_body(
    state: &AppState,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<(Bytes, OwnedSemaphorePermit), ApiError> {
    state.shared.memory.check()?;
    let is_gzip = match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"identity") => false,
        Some(b"gzip" | b"x-gzip") => true,
        Some(_) => {
            let message = "a body is plain or gzip";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
    };
    let length: Option<usize> =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let mut memory = reserve(state, length.unwrap_or(limit)).await?;
    let bytes = collect(body, length.unwrap_or(0), limit).await?;
    if !is_gzip {
        return Ok((bytes, memory));
    }
    let inflated = bytes.len().saturating_mul(MAX_RATIO).min(limit);
    memory.merge(reserve(state, inflated).await?);
    let bytes = on_blocking_thread(state, inflated, move || inflate(&bytes, limit)).await?;
    // Of what it could have been, only what it is stays taken.
    let spare = memory.num_permits().saturating_sub(bytes.len().div_ceil(1024) + 1);
    drop(memory.split(spare));
    Ok((bytes, memory))
}

async fn reserve(state: &AppState, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
    let limits = &state.config().limits;
    let all = limits.body_memory_bytes.div_ceil(1024);
    let wanted = u32::try_from((bytes.div_ceil(1024) + 1).min(all)).unwrap_or(u32::MAX);
    let memory = Arc::clone(&state.shared.body_memory).acquire_many_owned(wanted);
    match tokio::time::timeout(limits.max_wait, memory).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(ApiError::busy("the server has too much to do", limits.max_wait)),
    }
}

async fn collect(body: Body, expected: usize, limit: usize) -> Result<Bytes, ApiError> {
    let mut stream = body.into_data_stream();
    let broken = |error: axum::Error| {
        tracing::debug!(%error, "a body broke off");
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "the body broke off")
    };
    let Some(first) = stream.next().await.transpose().map_err(broken)? else {
        return Ok(Bytes::new());
    };
    // Most bodies are one piece.
    if first.len() == expected && expected > 0 {
        return Ok(first);
    }
    let mut bytes = BytesMut::with_capacity(expected.max(first.len()));
    let mut next = Some(first);
    while let Some(piece) = next {
        if bytes.len() + piece.len() > limit {
            return Err(too_large(limit));
        }
        bytes.extend_from_slice(&piece);
        next = stream.next().await.transpose().map_err(broken)?;
    }
    Ok(bytes.freeze())
}

/// Inflates a body; one that would become larger than `limit` is refused before it does.
fn inflate(gzip: &[u8], limit: usize) -> Result<Bytes, ApiError> {
    let mut bytes = Vec::new();
    let mut inflated = MultiGzDecoder::new(gzip).take(limit as u64 + 1);
    inflated
        .read_to_end(&mut bytes)
        .map_err(|error| ApiError::bad_request(format!("the body is no gzip: {error}")))?;
    if bytes.len() > limit {
        return Err(too_large(limit));
    }
    Ok(bytes.into())
}

fn too_large(limit: usize) -> ApiError {
    let message = format!("a body has at most {limit} bytes");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn gzip_bodies() {
        let text = b"{}".repeat(1000);
        assert_eq!(inflate(&gzip(&text), 2000).unwrap(), text);
        let bomb = gzip(&vec![0; 10 << 20]);
        assert!(bomb.len() * MAX_RATIO >= 10 << 20);
        assert_eq!(inflate(&bomb, 1 << 20).unwrap_err().status(), StatusCode::PAYLOAD_TOO_LARGE);
        let half = &gzip(&text)[..10];
        assert_eq!(inflate(half, 2000).unwrap_err().status(), StatusCode::BAD_REQUEST);
    }
}
