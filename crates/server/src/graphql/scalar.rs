//! Scalars of the protocol.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

/// JSON as a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JsonString(pub(super) String);

/// JSON as a text.
#[Scalar(name = "JSONString")]
impl ScalarType for JsonString {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// Any JSON.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Json(pub(super) Value);

/// Any JSON.
#[Scalar(name = "JSON")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value))
    }

    fn to_value(&self) -> Value {
        self.0.clone()
    }
}

/// An integer of 64 bits. One that is larger counts as the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Int64(pub(super) i64);

/// An integer of 64 bits.
#[Scalar(name = "Int64")]
impl ScalarType for Int64 {
    fn parse(value: Value) -> InputValueResult<Self> {
        let number = match &value {
            Value::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
                (Some(n), _, _) => Some(n),
                (None, Some(_), _) => Some(i64::MAX),
                (None, None, Some(x)) if x.fract() == 0.0 => Some(x as i64),
                _ => None,
            },
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.map(Self).ok_or_else(|| InputValueError::expected_type(value))
    }

    fn to_value(&self) -> Value {
        Value::from(self.0)
    }
}

/// A time span in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DurationMillis(pub(super) i64);

/// A time span in milliseconds.
#[Scalar(name = "Duration")]
impl ScalarType for DurationMillis {
    fn parse(value: Value) -> InputValueResult<Self> {
        Int64::parse(value).map(|n| Self(n.0)).map_err(InputValueError::propagate)
    }

    fn to_value(&self) -> Value {
        Value::from(self.0)
    }
}

/// An instant, as RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DateTime(pub(super) String);

impl DateTime {
    /// Makes one of milliseconds since 1970, to the second.
    pub(super) fn of_millis(millis: i64) -> Self {
        let time = jiff::Timestamp::from_second(millis.div_euclid(1000)).unwrap_or_default();
        Self(time.to_string())
    }
}

/// An instant, as RFC 3339 in UTC.
#[Scalar(name = "DateTime")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(text)),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}
