//! Decimal numbers without loss.

use serde::{Serialize, Serializer};

/// Maximum number of significant digits that every float of 64 bits keeps.
const EXACT_DIGITS: usize = 15;

/// A decimal number as the value that keeps all its digits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decimal<'a> {
    /// A whole number.
    Int(i64),
    /// A number with a fraction of which a float keeps all digits.
    Float(f64),
    /// More digits than a number keeps.
    Text(&'a str),
}

/// Reads a decimal number as Arrow writes it: digits with an optional sign and fraction.
pub(crate) fn read(text: &str) -> Decimal<'_> {
    let Some((whole, fraction)) = text.split_once('.') else {
        return text.parse().map_or(Decimal::Text(text), Decimal::Int);
    };
    let fraction = fraction.trim_end_matches('0');
    let whole = whole.trim_start_matches(['-', '0']);
    let digits = match whole {
        "" => fraction.trim_start_matches('0').len(),
        whole => whole.len() + fraction.len(),
    };
    match text.parse() {
        Ok(float) if digits <= EXACT_DIGITS => Decimal::Float(float),
        _ => Decimal::Text(text),
    }
}

impl Serialize for Decimal<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Int(int) => serializer.serialize_i64(*int),
            Self::Float(float) => serializer.serialize_f64(*float),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_keep_all_digits() {
        for (text, expected) in [
            ("123.40", Decimal::Float(123.4)),
            ("-0.5", Decimal::Float(-0.5)),
            ("7.00", Decimal::Float(7.0)),
            ("12345678901234567890", Decimal::Text("12345678901234567890")),
            ("1234567890123456789", Decimal::Int(1_234_567_890_123_456_789)),
            ("0.1234567890123456", Decimal::Text("0.1234567890123456")),
            ("0.000000000000000001", Decimal::Float(1e-18)),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_float_prints_the_digits_of_the_decimal(whole in any::<i64>(), scale in 1_usize..12) {
            let digits = format!("{:0>width$}", whole.unsigned_abs(), width = scale + 1);
            let (before, after) = digits.split_at(digits.len() - scale);
            let text = format!("{}{before}.{after}", if whole < 0 { "-" } else { "" });
            if let Decimal::Float(float) = read(&text) {
                prop_assert_eq!(format!("{float:.scale$}"), text);
            }
        }
    }
}
