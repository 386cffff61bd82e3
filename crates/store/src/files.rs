//! Files beside the tables, named by their content.

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::StoreError;

/// Keeps bytes under the SHA-256 of their content.
#[async_trait]
pub trait FileStore: fmt::Debug + Send + Sync {
    /// Stores what the stream gives, durably, and tells its name and length.
    ///
    /// Storing the same content again changes nothing. Fails with [`StoreError::Limit`] when there
    /// is more than `limit` bytes, and leaves nothing behind then.
    async fn put(
        &self,
        content: BoxStream<'_, Result<Bytes, std::io::Error>>,
        limit: u64,
    ) -> Result<StoredObject, StoreError>;

    /// Returns the length of what is stored under a name, `None` where nothing is.
    async fn len(&self, sha256: &str) -> Result<Option<u64>, StoreError>;

    /// Reads a part of what is stored under a name.
    async fn read(
        &self,
        sha256: &str,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, std::io::Error>>, StoreError>;
}

/// A stored file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// The SHA-256 of its bytes, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// The MD5 of its bytes in base64, by which the W&B protocol names them.
    pub md5: String,
    /// Its length in bytes.
    pub size: u64,
}
