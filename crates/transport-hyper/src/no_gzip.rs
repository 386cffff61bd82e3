//! Replaces compression if the feature `gzip` is disabled: bodies are sent and read unchanged.

use bytes::Bytes;
use hyper::body::Incoming;

use crate::body::{self, BodyError};

pub(crate) async fn pack(_: Bytes) -> Option<Bytes> {
    None
}

pub(crate) async fn read(body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    body::read(body, limit).await
}
