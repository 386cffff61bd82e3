//! Uploads to signed URLs.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, TryStreamExt};
use streamtable_server_core::{ApiError, form_value};
use streamtable_store::{StoreError, StoredObject};
use streamtable_wire::UploadAnswer;
use tokio::sync::OwnedSemaphorePermit;

use super::{MAX_MANIFEST_BYTES, Signer, Slot, mimetype};
use crate::Wandb;

/// Stores the bytes of a file. The `Authorization` header is ignored.
pub(super) async fn put(
    State(state): State<Wandb>,
    Path(slot): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let slot = check(&state, "PUT", &slot, query.as_deref()).await?;
    let limit = match slot {
        Slot::Manifest { .. } => MAX_MANIFEST_BYTES,
        _ => state.config.max_file_bytes,
    };
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > limit) {
        return Err(too_large(limit));
    }
    let _permit = turn(&state).await?;
    let content = body.into_data_stream().map_err(std::io::Error::other).boxed();
    let object = state.files.put(content, limit).await.map_err(|error| match error {
        StoreError::Limit { .. } => too_large(limit),
        // The client disconnected or is too slow: it does not read this response, or it retries.
        StoreError::Io { reason } => {
            tracing::debug!(reason, "an upload was aborted");
            ApiError::new(StatusCode::REQUEST_TIMEOUT, "the upload was aborted")
        }
        other => other.into(),
    })?;
    let answer = stored(&object);
    match slot {
        Slot::RunFile { run, path } => put_run_file(&state, run, &path, &object).await?,
        Slot::ArtifactFile { id } => state.catalog.put_artifact_file(id, object).await?,
        Slot::Manifest { id } => state.catalog.put_manifest(id, object).await?,
    }
    Ok(answer)
}

/// Returns a response that states what was stored, so that the client can distinguish it from a
/// proxy's.
fn stored(object: &StoredObject) -> Response {
    let answer = UploadAnswer { sha256: object.sha256.clone(), size: object.size };
    let json = (CONTENT_TYPE, "application/json".to_owned());
    let etag = (ETAG, format!("\"{}\"", object.sha256));
    ([json, etag], answer.to_bytes()).into_response()
}

async fn put_run_file(
    state: &Wandb,
    run: i64,
    path: &str,
    object: &StoredObject,
) -> Result<(), ApiError> {
    if let Some(named) = named_sha256(path)
        && named != object.sha256
    {
        return Err(ApiError::bad_request(
            "the content does not match the hash in the file's name",
        ));
    }
    state.catalog.put_run_file(run, path, object, mimetype(path)).await?;
    Ok(())
}

/// Returns the hash in the name that our own client gives a media file:
/// `media/<kind>/<sha256>.<format>`.
pub(crate) fn named_sha256(path: &str) -> Option<&str> {
    let (_, name) = path.strip_prefix("media/")?.split_once('/')?;
    let (hash, _) = name.split_once('.')?;
    let is_hash =
        hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    is_hash.then_some(hash)
}

/// Checks a signed URL, and that the key that requested it has not been revoked.
pub(super) async fn check(
    state: &Wandb,
    method: &str,
    slot: &str,
    query: Option<&str>,
) -> Result<Slot, ApiError> {
    let query = query.unwrap_or_default();
    let expires = form_value(query, "expires").and_then(|expires| expires.parse().ok());
    let key = form_value(query, "key");
    let signature = form_value(query, "signature");
    let signer = Signer::new(&state.core.signing_key);
    let parts = Slot::parse(slot).zip(expires).zip(key.zip(signature));
    let allowed = parts.and_then(|((slot, expires), (key, signature))| {
        let is_allowed = signer.allows(method, &slot, &key, expires, &signature);
        is_allowed.then_some((slot, key))
    });
    let refuse = |why: &'static str| {
        tracing::warn!(target: "audit", method, slot, why, "a signed URL was rejected");
        ApiError::new(StatusCode::FORBIDDEN, why)
    };
    let (slot, key) =
        allowed.ok_or_else(|| refuse("the signature is invalid, or the URL has expired"))?;
    if !state.core.catalog.is_key_valid(&key).await? {
        return Err(refuse("the key that requested this URL was revoked"));
    }
    Ok(slot)
}

async fn turn(state: &Wandb) -> Result<OwnedSemaphorePermit, ApiError> {
    let uploads = Arc::clone(&state.shared.uploads);
    let wait = state.core.bodies.max_wait();
    match tokio::time::timeout(wait, uploads.acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(ApiError::busy("too many concurrent uploads", wait)),
    }
}

fn too_large(limit: u64) -> ApiError {
    let message = format!("a file may have at most {limit} bytes");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}
