use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::TransportError;

/// The body of a response, in chunks as they arrive.
///
/// Dropping it closes the connection or discards the rest.
#[async_trait]
pub trait Body: fmt::Debug + Send {
    /// Returns the next chunk, or `None` at the end of the body.
    ///
    /// An error means that the body is incomplete; no chunk follows it. Cancel safe: no bytes are
    /// lost if the future is dropped.
    async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError>;
}

/// A body that is in memory as a whole.
#[derive(Debug)]
pub(crate) struct Whole(pub(crate) Bytes);

#[async_trait]
impl Body for Whole {
    async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        let rest = std::mem::take(&mut self.0);
        Ok(Some(rest).filter(|rest| !rest.is_empty()))
    }
}
