//! The logs of StreamTable's row storage.
//!
//! A [`Log`] is append-only and numbered without gaps; a frame is appended at exactly one number, or
//! another frame has it. [`BucketLog`] is a log in a bucket of an object store, for any number of
//! nodes, and [`FolderLog`] one in a local folder. [`Replica`] is the state machine by which a node
//! replays a log, decides requests and appends. This crate knows nothing of rows: the content of a
//! frame is bytes.
//!
//! [`LocalLog`] is the segmented log below [`FolderLog`], whose appends are synced in groups. [`disk`]
//! and [`copies`] are the durable writes of files that it shares with the store.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod bucket;
mod clock;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod copies;
pub mod disk;
mod folder;
mod local;
mod log;
mod replica;
#[doc(hidden)]
pub mod seeded_bug;
#[cfg(test)]
mod simulation;
mod tally;

pub use bucket::{BucketLog, BucketLogConfig};
pub use folder::FolderLog;
pub use local::{
    Damage, Done, DoneAt, Found, HEADER, Listed, LocalLog, LocalLogConfig, Mark, Marker, Outcome,
    ReadBytes, Rotated, SegmentId, Start, first_sequence, list, open, read_bytes, read_segment,
    seal,
};
pub use log::{Appended, FIRST, FrameId, Log, LogError};
pub use replica::{Action, Decision, Fold, Replica, Restore};
pub use tally::Tally;
