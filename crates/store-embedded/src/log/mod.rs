//! The write-ahead log, which makes rows durable.
//!
//! Frames of many callers are written together and synced once (group commit). A frame is reported
//! as durable only after the fsync of the file it is in; after a failure nothing more is written to
//! that file. Files are preallocated, so that a sync does not have to write the file length, and
//! cut to their length when they are closed. Frames are numbered without gaps, and a mark next to
//! the files records which numbers must exist, so that missing frames are noticed.

mod frame;
#[cfg(any(fuzzing, test))]
mod fuzzing;
mod mark;
mod read;
mod segment;
mod writer;

pub(crate) use frame::Frame;
#[cfg(any(fuzzing, test))]
pub use fuzzing::log as fuzz;
pub(crate) use mark::{Mark, Marker};
pub(crate) use read::{first_sequence, read_segment};
pub(crate) use segment::{ReadBytes, SegmentId, list, read_bytes};
pub(crate) use writer::{Log, LogConfig, Outcome, Rotated};
