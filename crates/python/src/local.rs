//! Times: the local time zone, and texts that are the times of rows.

use chrono::{DateTime, Local, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone};

/// Converts a local time to UTC, both in microseconds since 1970 on their own clock.
///
/// Follows the method `astimezone` of Python's `datetime`: of a time that occurs twice because clocks
/// are set back, it takes the first, or the second if `fold` is set. A time that clocks skip has the
/// offset after the change, or the one before it if `fold` is set.
pub(crate) fn to_utc(local: i64, fold: bool) -> i64 {
    // All times that a table can store are in range.
    let Some(time) = DateTime::from_timestamp_micros(local) else { return local };
    let offset = match seconds_east(time.naive_utc()) {
        MappedLocalTime::Single(offset) => offset,
        // The first of the two times is further east.
        MappedLocalTime::Ambiguous(one, other) if fold => one.min(other),
        MappedLocalTime::Ambiguous(one, other) => one.max(other),
        MappedLocalTime::None => {
            let day = TimeDelta::days(if fold { -1 } else { 1 });
            let nearby = time.naive_utc().checked_add_signed(day);
            nearby.and_then(|time| seconds_east(time).earliest()).unwrap_or(0)
        }
    };
    local.saturating_sub(offset * 1_000_000)
}

/// Returns whether a text in the column `timestamp` is the time of its row.
#[pyo3::pyfunction]
pub(crate) fn is_row_time(text: &str) -> bool {
    streamtable_format::row_time_of_text(text).is_some()
}

fn seconds_east(time: NaiveDateTime) -> MappedLocalTime<i64> {
    Local.offset_from_local_datetime(&time).map(|offset| offset.fix().local_minus_utc().into())
}
