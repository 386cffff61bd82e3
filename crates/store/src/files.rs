//! The interface of content-addressed files.

use std::fmt;
use std::io;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::{Problem, StoreError};

/// Stores bytes under the SHA-256 of their content.
///
/// A file whose content does not match its name counts as absent.
#[async_trait]
pub trait FileStore: fmt::Debug + Send + Sync {
    /// Stores the bytes of a stream durably, and returns their name and length.
    ///
    /// Idempotent: storing the same content again only repairs the file if it is damaged. Fails with [`StoreError::Limit`]
    /// if there are more than `limit` bytes, and then leaves nothing behind.
    async fn put(
        &self,
        content: BoxStream<'_, Result<Bytes, io::Error>>,
        limit: u64,
    ) -> Result<StoredObject, StoreError>;

    /// Returns the length of the file with a name, or `None` if there is none.
    async fn len(&self, sha256: &str) -> Result<Option<u64>, StoreError>;

    /// Reads the whole file with a name, and returns its length, or `None` if there is none.
    ///
    /// For a file that should exist: its absence is one of the [`problems`](Self::problems) until
    /// it is stored again.
    async fn verify(&self, sha256: &str) -> Result<Option<u64>, StoreError>;

    /// Returns the files that are missing, damaged or unreadable, as far as that is known.
    fn problems(&self) -> Vec<Problem>;

    /// Reads a part of the file with a name. If the whole file is read and its content does not
    /// match the name, the stream fails before the last chunk.
    async fn read(
        &self,
        sha256: &str,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, io::Error>>, StoreError>;
}

/// A stored file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// The SHA-256 of its bytes, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// The MD5 of its bytes in base64, which is the file's name in the W&B protocol.
    pub md5: String,
    /// Its length in bytes.
    pub size: u64,
}
