//! Requests to a bucket, and the responses.

use bytes::Bytes;

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
    /// `object_store` crate does not tell which, so this alone proves nothing.
    Refused,
    Found(Bytes, V),
    Absent,
    /// The numbers of the listed frames.
    Listed(Vec<u64>),
    /// There was no response, or one that does not say what happened. The request may still be
    /// executed later.
    Unknown,
}
