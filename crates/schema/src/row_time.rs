//! The time of a row: what a cell `timestamp` means.
//!
//! A row has one time, which travels next to its cells. A cell `timestamp` that holds an instant is that
//! time, so it is no column of the table: under [`ColumnPolicy::Strict`](crate::ColumnPolicy::Strict),
//! rows with and without it fit the same table. A cell `timestamp` of any other kind belongs to a column
//! of the user's, like every other cell.

use crate::{Timestamp, Type};

/// The name of the cell with a row's time.
pub const TIMESTAMP_COLUMN: &str = "timestamp";

/// Returns whether cells of a column with these types are the times of their rows.
pub fn is_row_time(column: &str, ty: &Type) -> bool {
    let is_time = |member: &Type| matches!(member, Type::Timestamp | Type::Null | Type::Unknown);
    column == TIMESTAMP_COLUMN && ty.members().iter().all(is_time)
}

/// Returns the instant that the text of a cell `timestamp` names: RFC 3339 with a zone, in the years 1
/// to 9999. A finer instant is rounded down to the microsecond.
pub fn row_time_of_text(text: &str) -> Option<Timestamp> {
    // The parser accepts the name of a zone in addition.
    if text.ends_with(']') || !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|time: &Timestamp| time.is_storable())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_with_a_zone_are_times() {
        #[track_caller]
        fn check(text: &str, expected: Option<i64>) {
            assert_eq!(row_time_of_text(text).map(Timestamp::as_micros), expected, "{text}");
        }
        check("1970-01-01T00:00:01Z", Some(1_000_000));
        check("1970-01-01 00:00:01.000001+00:00", Some(1_000_001));
        check("1970-01-01T01:00:00.0000019+01:00", Some(1));
        check("1969-12-31T23:59:59.9999991Z", Some(-1));
        check("0001-01-01T00:00:00Z", Some(-62_135_596_800_000_000));
        for text in [
            "",
            "Z",
            "yesterday",
            "1788970985",
            "2026-09-09",
            "2026-09-09T16:23:05",
            "2026-09-09 16:23:05",
            "09/09/2026",
            "2026-09-09T16:23:05 Z",
            "0000-01-01T00:00:00Z",
            "-000001-01-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-01-01T00:00:00+01:00[Europe/Berlin]",
        ] {
            check(text, None);
        }
    }
}
