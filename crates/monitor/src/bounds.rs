//! When a value breaches a condition, and when the condition has recovered.

use serde::{Deserialize, Serialize};

/// A threshold with hysteresis.
///
/// A value beyond the threshold breaches it. A value on the other side of `recover` is clear. Between
/// the two, a state does not change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Values above it are a breach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// Values below it are a breach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// A firing monitor recovers at this value: at or below it for `above`, at or above it for `below`.
    /// The threshold by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recover: Option<f64>,
}

/// What one evaluation found for one group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// The condition is met.
    Breach(f64),
    /// The condition is not met, but a firing monitor has not recovered.
    Between(f64),
    /// The condition is not met.
    Clear(f64),
    /// There is no value.
    NoData,
}

impl Bounds {
    /// Returns what is wrong with the bounds: a field and a message.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        for (field, value) in
            [("above", self.above), ("below", self.below), ("recover", self.recover)]
        {
            if value.is_some_and(|value| !value.is_finite()) {
                return Err((field, "must be a finite number".to_owned()));
            }
        }
        match (self.above, self.below, self.recover) {
            (None, None, _) => Err(("above", "either `above` or `below` is needed".to_owned())),
            (Some(_), Some(_), _) => {
                Err(("below", "cannot be combined with `above`; use two monitors".to_owned()))
            }
            (Some(above), None, Some(recover)) if recover > above => {
                Err(("recover", format!("must be at most `above` ({above})")))
            }
            (None, Some(below), Some(recover)) if recover < below => {
                Err(("recover", format!("must be at least `below` ({below})")))
            }
            _ => Ok(()),
        }
    }
}

impl Reading {
    /// Compares a value with bounds. `NaN` is no data.
    pub fn of(value: f64, bounds: &Bounds) -> Self {
        if value.is_nan() {
            return Self::NoData;
        }
        let (is_breach, is_clear) = match (bounds.above, bounds.below) {
            (Some(above), _) => (value > above, value <= bounds.recover.unwrap_or(above)),
            (None, Some(below)) => (value < below, value >= bounds.recover.unwrap_or(below)),
            (None, None) => (false, true),
        };
        match (is_breach, is_clear) {
            (true, _) => Self::Breach(value),
            (false, true) => Self::Clear(value),
            (false, false) => Self::Between(value),
        }
    }

    /// Converts the result of a condition that has no threshold: 1 is a breach, 0 is clear.
    pub fn of_bool(is_breach: bool) -> Self {
        if is_breach { Self::Breach(1.0) } else { Self::Clear(0.0) }
    }

    /// Returns the value.
    pub fn value(self) -> Option<f64> {
        match self {
            Self::Breach(value) | Self::Between(value) | Self::Clear(value) => Some(value),
            Self::NoData => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_with_both_thresholds() {
        let above = Bounds { above: Some(10.0), below: None, recover: Some(8.0) };
        let below = Bounds { above: None, below: Some(0.5), recover: None };
        for (bounds, value, expected) in [
            (above, 10.5, Reading::Breach(10.5)),
            (above, f64::INFINITY, Reading::Breach(f64::INFINITY)),
            (above, 10.0, Reading::Between(10.0)),
            (above, 8.5, Reading::Between(8.5)),
            (above, 8.0, Reading::Clear(8.0)),
            (below, 0.4, Reading::Breach(0.4)),
            (below, 0.5, Reading::Clear(0.5)),
            (below, f64::NAN, Reading::NoData),
        ] {
            assert_eq!(Reading::of(value, &bounds), expected);
        }
    }
}
