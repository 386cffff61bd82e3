//! What time it is, for rows.

use std::fmt;
use std::time::SystemTime;

use streamtable_schema::Timestamp;

/// Tells the time that rows are stamped with.
///
/// Only stamps come from here; waiting does not, so a clock that jumps delays nothing.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the present time. Called once a row, so it should be quick.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}
