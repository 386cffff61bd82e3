//! Custom scalars of the W&B schema.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

/// JSON as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JsonString(pub(super) String);

/// JSON as text.
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

/// Any JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Json(pub(super) Value);

/// Any JSON value.
#[Scalar(name = "JSON")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value))
    }

    fn to_value(&self) -> Value {
        self.0.clone()
    }
}

/// A 64-bit integer. Larger values are clamped to the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Int64(pub(super) i64);

/// A 64-bit integer.
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

/// A duration in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DurationMillis(pub(super) i64);

/// A duration in milliseconds.
#[Scalar(name = "Duration")]
impl ScalarType for DurationMillis {
    fn parse(value: Value) -> InputValueResult<Self> {
        Int64::parse(value).map(|n| Self(n.0)).map_err(InputValueError::propagate)
    }

    fn to_value(&self) -> Value {
        Value::from(self.0)
    }
}

/// An instant in RFC 3339 format, in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DateTime(pub(super) String);

impl DateTime {
    /// Converts milliseconds since 1970, truncated to seconds.
    pub(super) fn of_millis(millis: i64) -> Self {
        let time = jiff::Timestamp::from_second(millis.div_euclid(1000)).unwrap_or_default();
        Self(time.to_string())
    }
}

/// An instant in RFC 3339 format, in UTC.
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
