//! The logs of StreamTable's row storage.
//!
//! [`LocalLog`] is a log in a local folder. This crate knows nothing of rows: the content of a frame
//! is bytes. [`disk`] and [`copies`] are the durable writes of files that the log and the store share.

pub mod copies;
pub mod disk;
mod local;
#[doc(hidden)]
pub mod seeded_bug;
mod tally;

pub use local::{
    Damage, Done, Found, HEADER, Listed, LocalLog, LocalLogConfig, Mark, Marker, Outcome,
    ReadBytes, Rotated, SegmentId, Start, first_sequence, list, open, read_bytes, read_segment,
    seal,
};
pub use tally::Tally;
