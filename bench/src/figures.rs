//! Figures and their formatting.

use std::time::Duration;

use serde::Serialize;

/// A row of a section's table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    /// The measured subject.
    pub(crate) what: String,
    /// The cells, one per column of the section.
    pub(crate) cells: Vec<Cell>,
}

/// A figure.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "unit", content = "value", rename_all = "snake_case")]
pub(crate) enum Cell {
    Seconds(f64),
    PerSecond(f64),
    Bytes(u64),
    /// The ratio to another figure of the same run.
    Times(f64),
    Count(u64),
    /// Not applicable, or not measured.
    None,
}

impl Cell {
    pub(crate) fn time(time: Duration) -> Self {
        Self::Seconds(time.as_secs_f64())
    }

    pub(crate) fn rate(count: u64, seconds: f64) -> Self {
        Self::PerSecond(count as f64 / seconds)
    }

    pub(crate) fn show(&self) -> String {
        match self {
            Self::Seconds(seconds) => show_seconds(*seconds),
            Self::PerSecond(rate) => format!("{}/s", grouped(rate.round() as u64)),
            Self::Bytes(bytes) if *bytes < 10 << 10 => format!("{bytes} B"),
            Self::Bytes(bytes) => format!("{:.1} MiB", *bytes as f64 / f64::from(1 << 20)),
            Self::Times(ratio) if *ratio < 10.0 => format!("{ratio:.2} ×"),
            Self::Times(ratio) => format!("{} ×", grouped(ratio.round() as u64)),
            Self::Count(count) => grouped(*count),
            Self::None => "–".to_owned(),
        }
    }
}

fn show_seconds(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.2} ms", s * 1e3),
        s if s >= 1e-6 => format!("{:.2} µs", s * 1e6),
        s => format!("{:.0} ns", s * 1e9),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Sorted durations.
#[derive(Debug)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// Returns a percentile; zero if there are no durations.
    pub(crate) fn at(&self, part: f64) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * part).round() as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_formatted() {
        let cells = [
            (Cell::Seconds(4.2e-7), "420 ns"),
            (Cell::Seconds(1.5e-3), "1.50 ms"),
            (Cell::rate(3_000_000, 2.0), "1,500,000/s"),
            (Cell::Bytes(64 << 20), "64.0 MiB"),
            (Cell::Times(1.234), "1.23 ×"),
            (Cell::Count(1_000), "1,000"),
            (Cell::None, "–"),
        ];
        for (cell, expected) in cells {
            assert_eq!(cell.show(), expected);
        }
    }

    #[test]
    fn percentiles() {
        let times = Times::new((0..=100).rev().map(Duration::from_millis).collect());
        assert_eq!(times.at(0.5), Duration::from_millis(50));
        assert_eq!(times.at(0.99), Duration::from_millis(99));
        assert_eq!(Times::new(Vec::new()).at(0.5), Duration::ZERO);
    }
}
