use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use streamtable_transport::{Body, TransportError};

use crate::cause;

/// A body that is read as it arrives.
#[derive(Debug)]
pub(crate) struct Chunks {
    pub(crate) body: Incoming,
    /// The server, for errors.
    pub(crate) host: String,
}

#[async_trait]
impl Body for Chunks {
    async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| TransportError::Interrupted {
                host: self.host.clone(),
                reason: cause::reason(&error),
            })?;
            // Trailers are skipped.
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

/// The reason why a body could not be read to its end.
pub(crate) enum BodyError {
    TooLarge,
    Damaged(String),
}

/// Reads a whole body of at most `limit` bytes.
pub(crate) async fn read(body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    // Reject a body at once if its announced length exceeds the limit.
    if usize::try_from(body.size_hint().lower()).map_or(true, |length| length > limit) {
        return Err(BodyError::TooLarge);
    }
    match Limited::new(body, limit).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Err(error) => Err(BodyError::Damaged(cause::reason(&*error))),
    }
}
