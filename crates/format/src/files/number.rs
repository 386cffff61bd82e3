//! Numbers in texts.

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// As programs print it: with as few digits as the value needs.
    Shortest,
    /// With a fixed number of decimals, of which the last is zero.
    Fixed,
}

/// A number as written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    pub(super) value: Parsed,
    pub(super) style: Style,
    /// Number of digits behind the point. `None` with an exponent.
    pub(super) decimals: Option<usize>,
}

/// The value of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Parsed {
    Int(i64),
    Float(f64),
}

/// Parses a number of which nothing is lost: printing the value gives the text again, in the shortest
/// form or with the same number of decimals.
///
/// Returns `None` for texts that only look like numbers: `007`, `+5`, `1e5` (printed as `100000`),
/// `10.10.1`, `12345678901234567890`, and numbers with more digits than a float keeps.
pub(super) fn parse(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if !is_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    if fraction.is_some_and(|fraction| !is_digits(fraction)) {
        return None;
    }
    match (fraction, exponent) {
        (None, None) => {
            let value = text.parse().ok().filter(|_| text != "-0")?;
            Some(Number { value: Parsed::Int(value), style: Style::Shortest, decimals: Some(0) })
        }
        (Some(fraction), None) => decimal(text, fraction),
        (_, Some(exponent)) => scientific(text, whole, fraction.unwrap_or(""), exponent),
    }
}

fn decimal(text: &str, fraction: &str) -> Option<Number> {
    let value: f64 = text.parse().ok()?;
    let zeros = fraction.len() - fraction.trim_end_matches('0').len();
    let shortest = text[..text.len() - zeros].trim_end_matches('.');
    let decimals = fraction.len();
    let is_shortest = fraction == "0" || zeros == 0;
    // Zeros behind the digits that a float keeps are not printed: `10000000000000.030`.
    if format!("{value}") != shortest || !(is_shortest || format!("{value:.decimals$}") == text) {
        return None;
    }
    let style = if is_shortest { Style::Shortest } else { Style::Fixed };
    Some(Number { value: Parsed::Float(value), style, decimals: Some(decimals) })
}

/// Accepts an exponent only where programs print one: below 0.0001 and from 10^16 on.
fn scientific(text: &str, whole: &str, fraction: &str, exponent: &str) -> Option<Number> {
    let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
    let is_printed = value != 0.0 && !(1e-4..1e16).contains(&value.abs());
    let (sign, power) = match exponent.split_at_checked(1) {
        Some((sign @ ("+" | "-"), power)) => (sign, power),
        _ => ("+", exponent),
    };
    if !is_printed || power.is_empty() || !power.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let power = power.trim_start_matches('0');
    let sign = if sign == "-" { "-" } else { "" };
    let minus = if text.starts_with('-') { "-" } else { "" };
    let point = if fraction.is_empty() || fraction == "0" { "" } else { "." };
    let fraction = if point.is_empty() { "" } else { fraction };
    let written = format!("{minus}{whole}{point}{fraction}e{sign}{power}");
    (written == format!("{value:e}")).then_some(Number {
        value: Parsed::Float(value),
        style: Style::Shortest,
        decimals: None,
    })
}

/// Parses a number however it is written, such as `+5`, `007`, `1e5` or `.5`.
pub(super) fn parse_loose(text: &str) -> Option<Parsed> {
    if let Ok(int) = text.parse() {
        return Some(Parsed::Int(int));
    }
    let starts_like_a_number = text
        .bytes()
        .find(|it| !matches!(it, b'+' | b'-' | b'.'))
        .is_some_and(|it| it.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|value: &f64| starts_like_a_number && value.is_finite())
        .map(Parsed::Float)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(Parsed, Style)>) {
        assert_eq!(parse(text).map(|it| (it.value, it.style)), expected, "{text}");
    }

    #[test]
    fn numbers_that_print_as_written_are_accepted() {
        use Style::{Fixed, Shortest};
        for (text, value, style) in [
            ("0.5", 0.5, Shortest),
            ("-1.25", -1.25, Shortest),
            ("1.0", 1.0, Shortest),
            ("-0.0", -0.0, Shortest),
            ("2.50", 2.5, Fixed),
            ("3.00", 3.0, Fixed),
            ("1e-05", 1e-5, Shortest),
            ("1.5E-7", 1.5e-7, Shortest),
            ("1e+16", 1e16, Shortest),
            ("1.0e22", 1e22, Shortest),
            ("0.1", 0.1, Shortest),
            ("0.30000000000000004", 0.300_000_000_000_000_04, Shortest),
        ] {
            check(text, Some((Parsed::Float(value), style)));
        }
        check("-7", Some((Parsed::Int(-7), Shortest)));
        check("9223372036854775807", Some((Parsed::Int(i64::MAX), Shortest)));
    }

    #[test]
    fn texts_that_would_print_differently_are_no_numbers() {
        for text in [
            "007",
            "-007",
            "+5",
            "-0",
            "1e5",
            "7e10",
            "0E0",
            ".5",
            "5.",
            "1.2.3",
            "0x10",
            "1_000",
            "9223372036854775808",
            "12345678901234567890",
            "0.12345678901234567890",
            "1e999",
            "e5",
            "1e",
            "1e+",
            "-",
            "",
            "1 ",
            "nan",
            "inf",
            "0.1e-5",
            "10e-7",
            "10000000000000.030",
        ] {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn every_printed_number_is_accepted(value in any::<f64>().prop_filter("finite", |it| it.is_finite())) {
            for text in [format!("{value:?}"), format!("{value:e}")] {
                if let Some(number) = parse(&text) {
                    prop_assert_eq!(number.value, Parsed::Float(value));
                } else {
                    // Only the exponent of a number that is printed without one.
                    prop_assert!(text.contains('e') && (value == 0.0 || (1e-4..1e16).contains(&value.abs())));
                }
            }
        }

        #[test]
        fn an_accepted_number_prints_as_written(text in "-?[0-9]{1,18}(\\.[0-9]{1,18})?") {
            if let Some(number) = parse(&text) {
                let printed = match (number.value, number.style, number.decimals) {
                    (Parsed::Int(int), ..) => int.to_string(),
                    (Parsed::Float(float), Style::Shortest, _) if float.fract() == 0.0 => format!("{float}.0"),
                    (Parsed::Float(float), Style::Shortest, _) => format!("{float}"),
                    (Parsed::Float(float), Style::Fixed, decimals) => {
                        format!("{float:.*}", decimals.expect("no exponent has a fixed number of decimals"))
                    }
                };
                prop_assert_eq!(printed, text);
            }
        }
    }
}
