//! Request bodies with bounded memory.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use futures_util::StreamExt;
use streamtable_store::MemoryCeiling;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{ApiError, run_with_permit};

/// Maximum ratio of the size of a body to that of its gzip.
const MAX_RATIO: usize = 1032;

/// Reads request bodies, and limits the memory and the threads that all of them use together. Cheap
/// to clone.
#[derive(Clone, Debug)]
pub struct Bodies {
    /// One permit for each KiB.
    memory: Arc<Semaphore>,
    memory_kib: usize,
    /// One permit for each processor.
    readers: Arc<Semaphore>,
    /// How long a request waits for memory.
    max_wait: Duration,
    ceiling: Arc<MemoryCeiling>,
}

impl Bodies {
    /// Limits all bodies to `memory_bytes`. Above it, a body waits for `max_wait` and then fails with
    /// 503; above the process's memory ceiling, it fails at once.
    pub fn new(memory_bytes: usize, max_wait: Duration, ceiling: Arc<MemoryCeiling>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let memory_kib = memory_bytes.div_ceil(1024);
        Self {
            memory: Arc::new(Semaphore::new(memory_kib)),
            memory_kib,
            readers: Arc::new(Semaphore::new(processors)),
            max_wait,
            ceiling,
        }
    }

    /// Returns how long a request waits for memory.
    pub fn max_wait(&self) -> Duration {
        self.max_wait
    }

    /// Fails above the process's memory ceiling.
    pub fn check_memory(&self) -> Result<(), ApiError> {
        Ok(self.ceiling.check()?)
    }

    /// Reads a body of at most `limit` bytes, which is decompressed if it is gzip.
    ///
    /// Its memory counts towards the limit for all bodies until the permit is dropped.
    pub async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
        limit: usize,
    ) -> Result<(Bytes, OwnedSemaphorePermit), ApiError> {
        self.check_memory()?;
        let is_gzip = match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes()) {
            None | Some(b"identity") => false,
            Some(b"gzip" | b"x-gzip") => true,
            Some(_) => {
                let message = "a body must be plain or gzip";
                return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
            }
        };
        let length: Option<usize> =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length| length > limit) {
            return Err(too_large(limit));
        }
        let mut memory = self.reserve(length.unwrap_or(limit)).await?;
        let bytes = collect(body, length.unwrap_or(0), limit).await?;
        if !is_gzip {
            return Ok((bytes, memory));
        }
        let inflated = bytes.len().saturating_mul(MAX_RATIO).min(limit);
        memory.merge(self.reserve(inflated).await?);
        let bytes = self.run(inflated, move || inflate(&bytes, limit)).await?;
        // Keep permits for the actual size only.
        let spare = memory.num_permits().saturating_sub(bytes.len().div_ceil(1024) + 1);
        drop(memory.split(spare));
        Ok((bytes, memory))
    }

    async fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let wanted = (bytes.div_ceil(1024) + 1).min(self.memory_kib);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let memory = Arc::clone(&self.memory).acquire_many_owned(wanted);
        match tokio::time::timeout(self.max_wait, memory).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(ApiError::busy("the server is overloaded", self.max_wait)),
        }
    }

    /// Runs `work` on the blocking pool if the body is large. Concurrency is limited to the number of
    /// processors: more would use memory without being faster.
    pub async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        /// Bodies up to this size take less than a millisecond, so they are handled on the runtime's
        /// thread.
        const SMALL: usize = 64 << 10;

        if bytes <= SMALL {
            return work();
        }
        run_with_permit(&self.readers, work).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a request's work failed");
            Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed"))
        })
    }
}

async fn collect(body: Body, expected: usize, limit: usize) -> Result<Bytes, ApiError> {
    let mut stream = body.into_data_stream();
    let broken = |error: axum::Error| {
        tracing::debug!(%error, "a request body was aborted");
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "the body was aborted")
    };
    let Some(first) = stream.next().await.transpose().map_err(broken)? else {
        return Ok(Bytes::new());
    };
    // Most bodies arrive in one piece.
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

/// Decompresses a body. Stops and fails once the result exceeds `limit`.
fn inflate(gzip: &[u8], limit: usize) -> Result<Bytes, ApiError> {
    let mut bytes = Vec::new();
    let mut inflated = MultiGzDecoder::new(gzip).take(limit as u64 + 1);
    inflated
        .read_to_end(&mut bytes)
        .map_err(|error| ApiError::bad_request(format!("the body is not gzip: {error}")))?;
    if bytes.len() > limit {
        return Err(too_large(limit));
    }
    Ok(bytes.into())
}

fn too_large(limit: usize) -> ApiError {
    let message = format!("a body may have at most {limit} bytes");
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
