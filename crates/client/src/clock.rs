//! The clock for the timestamps of rows.

use std::fmt;
use std::time::SystemTime;

use streamtable_schema::Timestamp;

/// Returns the time for the timestamps of rows.
///
/// Timers do not use it, so a clock that jumps delays nothing.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the current time. Called once per row, so it should be fast.
    fn now(&self) -> Timestamp;
}

/// The system clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}
