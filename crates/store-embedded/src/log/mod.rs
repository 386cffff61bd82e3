//! The rows in the write-ahead log, which makes them durable.

mod frame;
#[cfg(any(fuzzing, test))]
mod fuzzing;

use bytes::Bytes;
use streamtable_log::Found;
pub(crate) use streamtable_log::{
    LocalLog, LocalLogConfig, Mark, Marker, Outcome, ReadBytes, Rotated, SegmentId, first_sequence,
    list, read_bytes,
};

pub(crate) use frame::Frame;
#[cfg(any(fuzzing, test))]
pub use fuzzing::log as fuzz;

/// Finds all undamaged frames of a log file.
pub(crate) fn read_segment(file: &Bytes) -> Found<Frame> {
    streamtable_log::read_segment(file, Frame::decode)
}
