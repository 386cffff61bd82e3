//! Requests to a bucket, and the responses.

use bytes::Bytes;

use super::object::decode_base;
use crate::LogError;

/// The key of an object of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// The object that names the base.
    Base,
    /// The frame with this number.
    Frame(u64),
}

/// A request to a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request<V> {
    /// Stores an object unless the key has one (`If-None-Match: *`).
    Create(Key, Bytes),
    /// Replaces an object if it is still this version (`If-Match`).
    Replace(Key, Bytes, V),
    Get(Key),
    /// Lists the frames below a number.
    List(u64),
    /// Deletes frames.
    Delete(Vec<u64>),
}

/// The response to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Response<V> {
    /// The object was created, replaced or deleted.
    Done,
    /// The condition was not met, or another request for the key was in progress: 412 or 409. The
    /// `object_store` crate does not distinguish them, so this alone proves nothing.
    Refused,
    Found(Bytes, V),
    Absent,
    /// The numbers of the listed frames.
    Listed(Vec<u64>),
    /// There was no response, or one that does not say what happened. The request may still be
    /// executed later.
    Unknown,
}

impl<V> Response<V> {
    /// Returns the base that the response to [`Key::Base`] names.
    pub(crate) fn base(self) -> Result<u64, LogError> {
        let damaged = |reason: &str| LogError::Damaged { reason: reason.to_owned() };
        match self {
            Self::Found(object, _) => decode_base(&object)
                .ok_or_else(|| damaged("its object `base` does not contain a number")),
            _ => Err(damaged("its object `base` is missing")),
        }
    }
}
