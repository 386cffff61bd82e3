//! The log in a local folder.
//!
//! Frames of many callers are written together and synced once (group commit). A frame is reported
//! as durable only after the fsync of the file it is in; after a failure nothing more is written to
//! that file. Files are preallocated, so that a sync does not have to write the file length, and
//! cut to their length when they are closed. Frames are numbered without gaps, and a mark next to
//! the files records which numbers must exist, so that missing frames are noticed.

mod frame;
mod mark;
mod read;
mod segment;
mod writer;

pub use frame::{HEADER, open, seal};
pub use mark::{Mark, Marker, Start};
pub use read::{Damage, Found, first_sequence, read_segment};
pub use segment::{Listed, ReadBytes, SegmentId, list, read_bytes};
pub use writer::{Done, DoneAt, LocalLog, LocalLogConfig, Outcome, Rotated};
