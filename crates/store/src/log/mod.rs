//! The log: where rows become durable.
//!
//! Frames of many callers are written together and synced once (group commit). A frame is told to
//! be durable only after the sync of the file it is in; after a failure nothing more is written to
//! that file. Files are preallocated, so that a sync has no file length to write.

mod frame;
#[cfg(any(fuzzing, test))]
mod fuzzing;
mod read;
mod segment;
mod writer;

pub(crate) use frame::Frame;
#[cfg(any(fuzzing, test))]
pub use fuzzing::log as fuzz;
pub(crate) use read::read_segment;
pub(crate) use segment::{SegmentId, list_segments, sync_folder};
pub(crate) use writer::{Log, LogConfig, Outcome, remove_through};
