//! Times without a time zone.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The time zone of times that have none.
///
/// One rule for all readers and clients: a time without a zone is in the time zone of the machine that
/// logs it, as a program's own clock is, unless the caller names another zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NaiveTimes {
    /// UTC.
    Utc,
    /// Another zone. Of a time that occurs twice, the first one is meant. A time that clocks skip has
    /// the offset after the change, as in Python.
    Zone(TimeZone),
}

/// The name of a time zone is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone {name:?}; use utc, local, or a name such as Europe/Berlin")]
pub struct UnknownZone {
    name: String,
}

impl NaiveTimes {
    /// Returns the time zone of this machine.
    pub fn local() -> Self {
        Self::Zone(TimeZone::system())
    }

    /// Converts microseconds since 1970 on a clock of this zone to microseconds since 1970 in UTC.
    pub fn to_utc(&self, micros: i64) -> i64 {
        let Self::Zone(zone) = self else { return micros };
        let Ok(time) = Timestamp::from_microsecond(micros) else { return micros };
        let time = TimeZone::UTC.to_datetime(time);
        zone.to_ambiguous_timestamp(time).earlier().map_or(micros, Timestamp::as_microsecond)
    }
}

impl FromStr for NaiveTimes {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        match name {
            _ if name.eq_ignore_ascii_case("utc") => Ok(Self::Utc),
            _ if name.eq_ignore_ascii_case("local") => Ok(Self::local()),
            _ => TimeZone::get(name)
                .map(Self::Zone)
                .map_err(|_| UnknownZone { name: name.to_owned() }),
        }
    }
}

impl fmt::Display for NaiveTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Utc => f.write_str("UTC"),
            Self::Zone(zone) => f.write_str(zone.iana_name().unwrap_or("the local time zone")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    #[track_caller]
    fn check(zone: &str, clock: &str, utc: &str) {
        let zone: NaiveTimes = zone.parse().unwrap();
        assert_eq!(zone.to_utc(at(clock)), at(utc));
    }

    #[test]
    fn times_without_a_zone_are_converted_from_the_named_zone() {
        check("utc", "2026-01-02T12:00:00Z", "2026-01-02T12:00:00Z");
        check("America/New_York", "2026-01-02T12:00:00Z", "2026-01-02T17:00:00Z");
        // Clocks are set back: the first of the two times.
        check("America/New_York", "2026-11-01T01:30:00Z", "2026-11-01T05:30:00Z");
        // Clocks skip 02:30.
        check("America/New_York", "2026-03-08T02:30:00Z", "2026-03-08T06:30:00Z");
        assert!("Mars/Olympus".parse::<NaiveTimes>().is_err());
    }
}
