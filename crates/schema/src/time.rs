//! The value of a timestamp cell.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, civil};
use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};

/// A point in time: microseconds since 1970-01-01T00:00:00Z, negative before it.
///
/// It has no time zone: each reader chooses one for display. Other `Serialize` types that hold a
/// time are logged as what they serialize to, usually a string; wrap them in this type to log a
/// timestamp.
///
/// ```
/// use streamtable_schema::Timestamp;
///
/// let t = Timestamp::from_micros(1_704_164_645_678_000);
/// assert_eq!(t.to_string(), "2024-01-02T03:04:05.678Z");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp {
    micros: i64,
}

/// The newtype name under which a [`Timestamp`] passes through serde.
#[doc(hidden)]
pub const TIMESTAMP_TOKEN: &str = "$streamtable::Timestamp";

impl Timestamp {
    /// The microseconds of the first and last instants that a table stores: the years 1 to 9999.
    const STORABLE: RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

    /// Makes a timestamp from microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self { micros }
    }

    /// Makes a timestamp from milliseconds since the epoch, saturating at the ends of the range.
    pub const fn from_millis(millis: i64) -> Self {
        Self { micros: millis.saturating_mul(1000) }
    }

    /// Returns the microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.micros
    }

    /// Returns whether a table can store the instant: whether it is in the years 1 to 9999.
    pub const fn is_storable(self) -> bool {
        *Self::STORABLE.start() <= self.micros && self.micros <= *Self::STORABLE.end()
    }

    /// Returns the milliseconds since the epoch, rounded towards the past.
    pub const fn as_millis(self) -> i64 {
        self.micros.div_euclid(1000)
    }
}

impl From<SystemTime> for Timestamp {
    /// Converts, saturating at the ends of the range (some 292,000 years away).
    fn from(time: SystemTime) -> Self {
        let micros = |d: Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => micros(after),
            Err(before) => -micros(before.duration()),
        })
    }
}

impl From<Timestamp> for SystemTime {
    /// Converts. A time that the system cannot represent becomes the epoch.
    fn from(time: Timestamp) -> Self {
        let distance = Duration::from_micros(time.micros.unsigned_abs());
        let converted = match time.micros < 0 {
            true => Self::UNIX_EPOCH.checked_sub(distance),
            false => Self::UNIX_EPOCH.checked_add(distance),
        };
        converted.unwrap_or(Self::UNIX_EPOCH)
    }
}

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    /// Parses RFC 3339 with any offset, rounded down to microseconds.
    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        let micros = nanoseconds(text).and_then(|nanos| i64::try_from(nanos.div_euclid(1000)).ok());
        micros.map(Self::from_micros).ok_or_else(|| NotATimestamp { text: text.to_owned() })
    }
}

/// Returns the nanoseconds since 1970 of an instant in RFC 3339 with any offset.
pub fn nanoseconds(text: &str) -> Option<i128> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_nanosecond());
    }
    // The last instants that the library has are two days before the end of its last year.
    let civil = text.starts_with("9999-12-3").then(|| text.strip_suffix(['Z', 'z']))??;
    let civil: civil::DateTime = civil.contains(':').then(|| civil.parse().ok())??;
    Some(civil.duration_since(EPOCH).as_nanos())
}

const EPOCH: civil::DateTime = civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// A text that is not a timestamp.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a timestamp, such as 2024-01-02T03:04:05Z")]
pub struct NotATimestamp {
    /// The text.
    pub text: String,
}

/// Serializes a time, such as a `SystemTime`, as a [`Timestamp`], for serde's attribute `with`.
///
/// ```
/// use std::time::SystemTime;
/// use streamtable_schema::{Row, Timestamp, row};
///
/// #[derive(serde::Serialize)]
/// struct Request {
///     #[serde(with = "streamtable_schema::timestamp")]
///     at: SystemTime,
/// }
///
/// let row = Row::from_serialize(&Request { at: SystemTime::UNIX_EPOCH })?;
/// assert_eq!(row, row! { "at" => Timestamp::from_micros(0) });
/// # Ok::<(), streamtable_schema::SchemaError>(())
/// ```
pub mod timestamp {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Timestamp;

    /// Serializes the time as a [`Timestamp`].
    pub fn serialize<T, S>(time: &T, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: Clone + Into<Timestamp>,
        S: Serializer,
    {
        time.clone().into().serialize(serializer)
    }

    /// Deserializes a [`Timestamp`] and converts it.
    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: From<Timestamp>,
        D: Deserializer<'de>,
    {
        Timestamp::deserialize(deserializer).map(T::from)
    }
}

impl fmt::Display for Timestamp {
    /// Writes the timestamp as RFC 3339 in UTC, with as many decimals as the precision says, or as a
    /// number of microseconds outside the years −9999 to 9999.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match EPOCH.checked_add(SignedDuration::from_micros(self.micros)) {
            Ok(time) => {
                time.fmt(f)?;
                f.write_str("Z")
            }
            Err(_) => write!(f, "{} µs", self.micros),
        }
    }
}

impl Serialize for Timestamp {
    /// Serializes as a newtype around the microseconds.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(TIMESTAMP_TOKEN, &self.micros)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    /// Deserializes microseconds, or RFC 3339.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("microseconds since 1970, or RFC 3339")
            }

            fn visit_i64<E: de::Error>(self, micros: i64) -> Result<Timestamp, E> {
                Ok(Timestamp::from_micros(micros))
            }

            fn visit_u64<E: de::Error>(self, micros: u64) -> Result<Timestamp, E> {
                let unexpected = de::Unexpected::Unsigned(micros);
                let micros = i64::try_from(micros);
                micros.map(Timestamp::from_micros).map_err(|_| E::invalid_value(unexpected, &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Timestamp, D::Error> {
                deserializer.deserialize_any(self)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(micros: i64, millis: i64, text: &str) {
        let time = Timestamp::from_micros(micros);
        assert_eq!((time.as_micros(), time.as_millis()), (micros, millis));
        assert_eq!(time.to_string(), text);
    }

    #[test]
    fn instants() {
        check(0, 0, "1970-01-01T00:00:00Z");
        check(1, 0, "1970-01-01T00:00:00.000001Z");
        check(-1, -1, "1969-12-31T23:59:59.999999Z");
        check(253_402_300_799_999_999, 253_402_300_799_999, "9999-12-31T23:59:59.999999Z");
        check(253_402_300_800_000_000, 253_402_300_800_000, "253402300800000000 µs");
        check(-62_135_596_800_000_000, -62_135_596_800_000, "0001-01-01T00:00:00Z");
        assert_eq!(format!("{:.6}", Timestamp::from_micros(1)), "1970-01-01T00:00:00.000001Z");
        assert_eq!(format!("{:.6}", Timestamp::from_micros(0)), "1970-01-01T00:00:00.000000Z");
        check(i64::MAX, i64::MAX / 1000, "9223372036854775807 µs");
        check(i64::MIN, i64::MIN / 1000 - 1, "-9223372036854775808 µs");
        assert_eq!(Timestamp::from_millis(i64::MAX).as_micros(), i64::MAX);
        assert_eq!(Timestamp::from_millis(-2).as_micros(), -2000);
    }

    #[test]
    fn other_clocks() {
        let micros = Duration::from_micros;
        let epoch = SystemTime::UNIX_EPOCH;
        assert_eq!(Timestamp::from(epoch + micros(7)), Timestamp::from_micros(7));
        assert_eq!(Timestamp::from(epoch - micros(7)), Timestamp::from_micros(-7));
        let time: Timestamp = "2024-01-02T03:04:05.678+02:00".parse().unwrap();
        assert_eq!(time.to_string(), "2024-01-02T01:04:05.678Z");
    }

    #[test]
    fn timestamps_are_read_back() {
        for micros in [0, -1, 1_704_164_645_678_901, 253_402_300_799_999_999] {
            let time = Timestamp::from_micros(micros);
            assert_eq!(time.to_string().parse(), Ok(time));
            assert_eq!(Timestamp::from(SystemTime::from(time)), time);
            let json = serde_json::to_string(&time).unwrap();
            assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time);
            let text = format!("\"{time}\"");
            assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), time);
        }
        let error = "yesterday".parse::<Timestamp>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#""yesterday" is not a timestamp, such as 2024-01-02T03:04:05Z"#
        );
        assert!(serde_json::from_str::<Timestamp>("true").is_err());
    }
}
