//! The log: where rows become durable.
//!
//! Frames of many callers are written together and synced once (group commit). A frame is reported
//! as durable only after the sync of the file it is in; after a failure nothing more is written to
//! that file. Files are preallocated, so that a sync has no file length to write, and cut to their
//! length once they are closed. Frames are numbered without gaps, and a mark beside the files
//! says which numbers must be there, so that missing frames are noticed.

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
pub(crate) use segment::{SegmentId, list_segments, read_bytes};
pub(crate) use writer::{Log, LogConfig, Outcome};
