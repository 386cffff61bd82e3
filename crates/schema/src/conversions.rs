//! Conversions from the types of other crates, each behind a feature.

#[cfg(feature = "jiff-02")]
mod jiff_02 {
    use crate::{Timestamp, Value};

    impl From<jiff::Timestamp> for Timestamp {
        fn from(time: jiff::Timestamp) -> Self {
            Self::from_micros(time.as_microsecond())
        }
    }

    impl From<jiff::Timestamp> for Value {
        fn from(time: jiff::Timestamp) -> Self {
            Self::Timestamp(time.into())
        }
    }

    impl From<jiff::Zoned> for Value {
        fn from(time: jiff::Zoned) -> Self {
            Self::Timestamp(time.timestamp().into())
        }
    }
}

#[cfg(feature = "jiff-1")]
mod jiff_1 {
    use crate::{Timestamp, Value};

    impl From<jiff_1::Timestamp> for Timestamp {
        fn from(time: jiff_1::Timestamp) -> Self {
            Self::from_micros(time.as_microsecond())
        }
    }

    impl From<jiff_1::Timestamp> for Value {
        fn from(time: jiff_1::Timestamp) -> Self {
            Self::Timestamp(time.into())
        }
    }

    impl From<jiff_1::ZonedDateTime> for Value {
        fn from(time: jiff_1::ZonedDateTime) -> Self {
            Self::Timestamp(time.timestamp().into())
        }
    }
}

#[cfg(feature = "time")]
mod time {
    use time::{OffsetDateTime, UtcDateTime};

    use crate::{Timestamp, Value};

    impl From<OffsetDateTime> for Timestamp {
        /// Converts, rounded down to microseconds, and saturating at the ends of the range.
        fn from(time: OffsetDateTime) -> Self {
            time.to_utc().into()
        }
    }

    impl From<UtcDateTime> for Timestamp {
        /// Converts, rounded down to microseconds, and saturating at the ends of the range.
        fn from(time: UtcDateTime) -> Self {
            let micros = time.unix_timestamp_nanos().div_euclid(1000);
            let limits = (i64::MIN.into(), i64::MAX.into());
            Self::from_micros(micros.clamp(limits.0, limits.1) as i64)
        }
    }

    impl From<OffsetDateTime> for Value {
        fn from(time: OffsetDateTime) -> Self {
            Self::Timestamp(time.into())
        }
    }

    impl From<UtcDateTime> for Value {
        fn from(time: UtcDateTime) -> Self {
            Self::Timestamp(time.into())
        }
    }
}

#[cfg(feature = "chrono")]
mod chrono {
    use chrono::{DateTime, TimeZone};

    use crate::{Timestamp, Value};

    impl<Tz: TimeZone> From<DateTime<Tz>> for Timestamp {
        fn from(time: DateTime<Tz>) -> Self {
            Self::from_micros(time.timestamp_micros())
        }
    }

    impl<Tz: TimeZone> From<DateTime<Tz>> for Value {
        fn from(time: DateTime<Tz>) -> Self {
            Self::Timestamp(time.into())
        }
    }
}

#[cfg(feature = "uuid")]
mod uuid {
    use uuid::Uuid;

    use crate::Value;

    impl From<Uuid> for Value {
        /// Converts to a string, such as `67e55044-10b1-426f-9247-bb680e5fe0c8`.
        fn from(id: Uuid) -> Self {
            Self::String(id.to_string())
        }
    }
}

#[cfg(all(
    test,
    feature = "chrono",
    feature = "jiff-02",
    feature = "jiff-1",
    feature = "time",
    feature = "uuid"
))]
mod tests {
    use crate::{Timestamp, Value};

    #[test]
    fn times_are_timestamps_and_ids_are_strings() {
        let at = Timestamp::from_micros(1_704_164_645_678_000);
        let jiff: jiff::Timestamp = "2024-01-02T03:04:05.678Z".parse().unwrap();
        assert_eq!(Value::from(jiff), at.into());
        assert_eq!(Value::from(jiff.to_zoned(jiff::tz::TimeZone::UTC)), at.into());
        let jiff: jiff_1::Timestamp = "2024-01-02T03:04:05.678Z".parse().unwrap();
        assert_eq!(Value::from(jiff), at.into());
        assert_eq!(Value::from(jiff.to_zoned_datetime(jiff_1::tz::TimeZone::UTC)), at.into());
        let time = time::OffsetDateTime::from_unix_timestamp_nanos(1_704_164_645_678_000_999);
        assert_eq!(Value::from(time.unwrap()), at.into());
        let time = time::UtcDateTime::from_unix_timestamp_nanos(-1).unwrap();
        assert_eq!(Value::from(time), Timestamp::from_micros(-1).into());
        let chrono = chrono::DateTime::from_timestamp_micros(at.as_micros()).unwrap();
        assert_eq!(Value::from(chrono), at.into());
        let id = uuid::Uuid::nil();
        assert_eq!(Value::from(id), "00000000-0000-0000-0000-000000000000".into());
    }
}
