//! The server's clock.
//!
//! The system clock may be wrong: a machine without a clock battery starts in 1970 or before, and
//! `httpdate`, which formats HTTP's `Date`, panics outside of the years 1970 to 9999. So all code
//! in this crate gets the time of day from this module.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::HeaderValue;
use streamtable_schema::Timestamp;

/// The last second of the year 9999.
const END: Duration = Duration::from_secs(253_402_300_799);

/// Returns the time of day, limited to the years 1970 to 9999.
#[expect(clippy::disallowed_methods, reason = "only this module reads the system clock")]
pub fn now() -> SystemTime {
    clamp(SystemTime::now())
}

/// Returns whether the system clock is before 1970. A server must not start then: hyper reads the
/// system clock for each connection, and panics.
#[expect(clippy::disallowed_methods, reason = "only this module reads the system clock")]
pub fn is_before_1970() -> bool {
    is_too_early(SystemTime::now())
}

fn is_too_early(time: SystemTime) -> bool {
    time < UNIX_EPOCH
}

/// Returns the time of day as a timestamp of rows and of the catalog.
pub fn timestamp() -> Timestamp {
    now().into()
}

/// Returns the seconds since 1970.
pub fn unix_seconds() -> u64 {
    now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Returns the value of a `Date` header.
pub fn http_date() -> HeaderValue {
    date_of(now())
}

fn date_of(time: SystemTime) -> HeaderValue {
    let date = httpdate::HttpDate::from(clamp(time)).to_string();
    HeaderValue::try_from(date).unwrap_or(HeaderValue::from_static(""))
}

fn clamp(time: SystemTime) -> SystemTime {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => UNIX_EPOCH + since.min(END),
        Err(_) => UNIX_EPOCH,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_system_time_has_a_date(seconds in any::<u32>(), shift in 0_u32..30, past: bool) {
            let distance = Duration::from_secs(u64::from(seconds) << shift);
            let time = match past {
                true => UNIX_EPOCH.checked_sub(distance),
                false => UNIX_EPOCH.checked_add(distance),
            };
            let Some(time) = time else { return Ok(()) };
            let date = date_of(time);
            let year: u64 = date.to_str().unwrap()[12..16].parse().unwrap();
            prop_assert!((1970..=9999).contains(&year), "{date:?}");
        }
    }

    #[test]
    fn no_server_starts_before_1970() {
        let short = Duration::from_micros(1);
        assert!(is_too_early(UNIX_EPOCH - short));
        assert!(!is_too_early(UNIX_EPOCH));
        assert!(!is_before_1970());
    }

    #[test]
    fn dates_are_limited_to_1970_to_9999() {
        let hour = Duration::from_secs(3600);
        assert_eq!(date_of(UNIX_EPOCH - hour), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date_of(UNIX_EPOCH + END + hour), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(date_of(UNIX_EPOCH + hour), "Thu, 01 Jan 1970 01:00:00 GMT");
    }
}
