//! The interface of logs.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

/// The number of a log's first frame.
pub const FIRST: u64 = 1;

/// The identity of a frame that is appended. If the response to an append was lost, it shows whether a
/// frame in the log is the caller's own.
///
/// An identity is used for one frame only. It is random, so that two nodes that were configured as
/// the same node do not share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameId(pub [u8; 16]);

impl FrameId {
    /// Returns a new identity.
    pub fn random() -> Self {
        Self(*uuid::Uuid::new_v4().as_bytes())
    }
}

/// The verdict on an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The frame is durable at its number, and every reader sees it there.
    Durable,
    /// Another frame has the number.
    Lost,
}

/// The reason why a log did not respond to a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The number is below the log's base: its frame was trimmed.
    #[error("frame {number} was trimmed; the log starts at {base}")]
    Trimmed {
        /// The number that was asked for.
        number: u64,
        /// The lowest number that can be read.
        base: u64,
    },
    /// The log could not be reached or failed. An append may or may not have happened.
    #[error("the log is unavailable: {reason}")]
    Unavailable {
        /// What failed.
        reason: String,
    },
    /// The log contains something that this program did not write.
    #[error("the log is damaged: {reason}")]
    Damaged {
        /// The damage, and where it is.
        reason: String,
    },
}

impl LogError {
    /// Returns whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Trimmed { .. } | Self::Damaged { .. } => false,
        }
    }
}

/// An append-only log, numbered from [`FIRST`] without gaps.
///
/// A caller appends at one more than the highest number that it has read, so that its frame follows
/// from all frames before. [`Replica`](crate::Replica) does this.
#[async_trait]
pub trait Log: Send + Sync + fmt::Debug {
    /// Appends a frame at exactly this number.
    ///
    /// All frames below `at` must have been read or appended by the caller. After
    /// [`Unavailable`](LogError::Unavailable) it is not known whether the frame is in the log; the
    /// same call with the same `id` and frame finds out. If that call returns
    /// [`Lost`](Appended::Lost), reading the number shows the frame that has it. If the call is
    /// cancelled, the frame may be appended later.
    async fn append(&self, at: u64, id: FrameId, frame: Bytes) -> Result<Appended, LogError>;

    /// Returns frames from a number on, in order. `None` is a frame that is damaged or missing; its
    /// number is not used again.
    ///
    /// Returns no frame only if `from` is the number of the next append. May return fewer frames
    /// than exist.
    async fn read(&self, from: u64) -> Result<Vec<Option<Bytes>>, LogError>;

    /// Returns the lowest number that can be read or appended.
    async fn base(&self) -> Result<u64, LogError>;

    /// Gives up frames below a number. What they say must be durable elsewhere, and the caller must
    /// have read all of them.
    ///
    /// The log may keep them, and may delete them later: it is called periodically. It never lowers
    /// the base.
    async fn trim(&self, below: u64) -> Result<(), LogError>;
}

#[async_trait]
impl<L: Log + ?Sized> Log for Arc<L> {
    async fn append(&self, at: u64, id: FrameId, frame: Bytes) -> Result<Appended, LogError> {
        (**self).append(at, id, frame).await
    }

    async fn read(&self, from: u64) -> Result<Vec<Option<Bytes>>, LogError> {
        (**self).read(from).await
    }

    async fn base(&self) -> Result<u64, LogError> {
        (**self).base().await
    }

    async fn trim(&self, below: u64) -> Result<(), LogError> {
        (**self).trim(below).await
    }
}
