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

#[cfg(all(test, feature = "chrono", feature = "jiff-02", feature = "uuid"))]
mod tests {
    use crate::{Timestamp, Value};

    #[test]
    fn times_are_timestamps_and_ids_are_strings() {
        let at = Timestamp::from_micros(1_704_164_645_678_000);
        let jiff: jiff::Timestamp = "2024-01-02T03:04:05.678Z".parse().unwrap();
        assert_eq!(Value::from(jiff), at.into());
        assert_eq!(Value::from(jiff.to_zoned(jiff::tz::TimeZone::UTC)), at.into());
        let chrono = chrono::DateTime::from_timestamp_micros(at.as_micros()).unwrap();
        assert_eq!(Value::from(chrono), at.into());
        let id = uuid::Uuid::nil();
        assert_eq!(Value::from(id), "00000000-0000-0000-0000-000000000000".into());
    }
}
