//! Lengths of time, as documents write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time: a number and a unit, such as `15m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

/// The units, in seconds.
const UNITS: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

impl Span {
    /// Makes a span of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Returns the length.
    pub fn duration(self) -> Duration {
        self.0
    }

    /// Returns the length in milliseconds.
    pub fn as_millis(self) -> i64 {
        // The parser accepts less than 10⁷ weeks.
        self.0.as_millis() as i64
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not a time span such as \"15m\" (units: s, m, h, d, w)");
        let found =
            UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
        let (digits, factor) = found.ok_or_else(wrong)?;
        let is_number =
            matches!(digits.len(), 1..=7) && digits.bytes().all(|it| it.is_ascii_digit());
        let number: u64 = digits.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
        Ok(Self::from_secs(number * factor))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let fits =
            |(_, factor): &&(&str, u64)| seconds >= *factor && seconds.is_multiple_of(*factor);
        let (unit, factor) = UNITS.iter().find(fits).unwrap_or(&("s", 1));
        write!(f, "{}{unit}", seconds / factor)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        #[track_caller]
        fn check(text: &str, seconds: u64, printed: &str) {
            let span: Span = text.parse().unwrap();
            assert_eq!((span, span.to_string()), (Span::from_secs(seconds), printed.to_owned()));
        }
        check("0s", 0, "0s");
        check("90s", 90, "90s");
        check("120s", 120, "2m");
        check("15m", 900, "15m");
        check("24h", 86_400, "1d");
        check("9999999w", 9_999_999 * 604_800, "9999999w");
        for wrong in ["", "s", "5", "1.5m", "-1m", "+1m", "10000000s", "5 m", "5M", "é"] {
            assert!(wrong.parse::<Span>().unwrap_err().contains("time span"), "{wrong}");
        }
    }
}
