//! Types of CSV columns.

use jiff::civil::DateTime;
use streamtable_schema::{Timestamp, Value, nanoseconds};

use super::number::{self, Number, Parsed, Style};
use crate::{NaiveTimes, Note};

/// The type of the cells of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Texts, as written.
    Text,
    /// `true` and `false`.
    Bool,
    /// Numbers that print as written.
    Number,
    /// Numbers, even if they print differently.
    LooseNumber,
    /// Instants with a zone.
    Instant,
    /// Instants without a zone.
    NaiveInstant,
}

/// Collects what all cells of a column have in common. An empty cell says nothing.
#[derive(Clone, Debug)]
pub(super) struct Guess {
    cells: u64,
    is_bool: bool,
    spelling: Option<u8>,
    is_number: bool,
    has_number: bool,
    is_shortest: bool,
    /// The number of decimals that all numbers have.
    decimals: Option<Option<usize>>,
    is_loose: bool,
    is_comma: bool,
    is_instant: bool,
    is_naive: bool,
    /// The first cell that looks like a number and is none.
    odd: Option<String>,
}

impl Default for Guess {
    fn default() -> Self {
        Self {
            cells: 0,
            is_bool: true,
            spelling: None,
            is_number: true,
            has_number: false,
            is_shortest: true,
            decimals: None,
            is_loose: true,
            is_comma: true,
            is_instant: true,
            is_naive: true,
            odd: None,
        }
    }
}

impl Guess {
    /// Adds a cell.
    pub(super) fn add(&mut self, cell: &str) {
        if cell.is_empty() {
            return;
        }
        self.cells += 1;
        if self.is_plain_text() {
            return;
        }
        if self.is_bool {
            let spelling = bool_spelling(cell).map(|it| it >> 1);
            self.is_bool =
                spelling.is_some() && (self.spelling.is_none() || self.spelling == spelling);
            self.spelling = spelling;
        }
        if self.is_number {
            self.add_number(cell);
        }
        if self.is_loose && number::parse(cell).is_none() && special(cell).is_none() {
            match number::parse_loose(cell) {
                Some(_) => self.odd = self.odd.take().or_else(|| Some(cell.to_owned())),
                None => self.is_loose = false,
            }
        }
        self.is_comma = self.is_comma && is_decimal_comma(cell);
        self.is_instant = self.is_instant && instant(cell).is_some();
        self.is_naive = self.is_naive && naive(cell).is_some();
    }

    /// Returns whether no further cell can change the type.
    fn is_plain_text(&self) -> bool {
        let may_be_a_number = self.is_number || self.is_loose || self.is_comma;
        !(self.is_bool || may_be_a_number || self.is_instant || self.is_naive)
    }

    fn add_number(&mut self, cell: &str) {
        match number::parse(cell) {
            Some(Number { style, decimals, .. }) => {
                self.has_number = true;
                self.is_shortest &= style == Style::Shortest;
                let same = *self.decimals.get_or_insert(decimals);
                if same != decimals {
                    self.decimals = Some(None);
                }
                if self.odd.is_none() && style == Style::Fixed {
                    self.odd = Some(cell.to_owned());
                }
                let is_fixed = matches!(self.decimals, Some(Some(_)));
                self.is_number = self.is_shortest || is_fixed;
            }
            None => self.is_number = special(cell).is_some(),
        }
    }

    /// Returns the type of the column, and a note if it is a text that may be meant otherwise.
    pub(super) fn kind(&self, name: &str, naive: Option<&NaiveTimes>) -> (Kind, Option<Note>) {
        if self.cells == 0 {
            return (Kind::Text, None);
        }
        if self.is_bool {
            return (Kind::Bool, None);
        }
        if self.is_number && self.has_number {
            return (Kind::Number, None);
        }
        if self.is_instant {
            return (Kind::Instant, None);
        }
        if self.is_naive {
            return match naive {
                Some(_) => (Kind::NaiveInstant, None),
                None => (
                    Kind::Text,
                    Some(Note::column(
                        name,
                        "times without a zone are kept as text; --naive utc, local or a zone makes them instants",
                    )),
                ),
            };
        }
        let note = match &self.odd {
            _ if self.is_comma => Some(
                "texts that look like numbers with a decimal comma; --decimal-comma reads numbers"
                    .to_owned(),
            ),
            Some(odd) if self.is_loose => Some(format!(
                "kept as text, because {odd:?} would be changed by reading it as a number; \
                 --number {name} reads numbers"
            )),
            _ => None,
        };
        (Kind::Text, note.map(|note| Note::column(name, note)))
    }
}

/// Converts a cell. Returns `None` if it is not of the column's type.
pub(super) fn value(cell: &str, kind: Kind, naive_zone: &NaiveTimes) -> Option<Value> {
    if cell.is_empty() {
        return Some(Value::Null);
    }
    let number = |parsed| match parsed {
        Parsed::Int(int) => Value::from(int),
        Parsed::Float(float) => Value::from(float),
    };
    match kind {
        Kind::Text => Some(Value::from(cell)),
        Kind::Bool => Some(Value::from(bool_spelling(cell)? & 1 == 1)),
        Kind::Number => number::parse(cell)
            .map(|it| number(it.value))
            .or_else(|| special(cell).map(Value::from)),
        Kind::LooseNumber => {
            number::parse_loose(cell).map(number).or_else(|| special(cell).map(Value::from))
        }
        Kind::Instant => instant(cell).map(Value::from),
        Kind::NaiveInstant => {
            naive(cell).map(|micros| Timestamp::from_micros(naive_zone.to_utc(micros)).into())
        }
    }
}

/// Returns a code of the spelling, whose last bit is the value. The values of one column have the same
/// code without it.
fn bool_spelling(cell: &str) -> Option<u8> {
    Some(match cell {
        "false" => 0,
        "true" => 1,
        "False" => 2,
        "True" => 3,
        "FALSE" => 4,
        "TRUE" => 5,
        _ => return None,
    })
}

/// Parses the words that programs print for numbers that are none.
fn special(cell: &str) -> Option<f64> {
    Some(match cell {
        "NaN" | "nan" => f64::NAN,
        "Infinity" | "inf" | "Inf" => f64::INFINITY,
        "-Infinity" | "-inf" | "-Inf" => f64::NEG_INFINITY,
        _ => return None,
    })
}

pub(super) fn is_decimal_comma(cell: &str) -> bool {
    let mut parts = cell.split(',');
    let (Some(whole), fraction, None) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    is_digits(whole.strip_prefix('-').unwrap_or(whole)) && fraction.is_some_and(is_digits)
}

/// Parses an instant with a zone, of which no digit is lost.
fn instant(cell: &str) -> Option<Timestamp> {
    let nanos = begins_with_a_date(cell).then(|| nanoseconds(cell))??;
    let micros = (nanos % 1000 == 0).then(|| i64::try_from(nanos / 1000).ok())??;
    Some(Timestamp::from_micros(micros))
}

/// Parses a date and time without a zone, as microseconds since 1970 on its clock.
fn naive(cell: &str) -> Option<i64> {
    if !begins_with_a_date(cell) || instant(cell).is_some() {
        return None;
    }
    let at: DateTime = cell.parse().ok()?;
    let at = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    (at.subsec_nanosecond() % 1000 == 0).then(|| at.as_microsecond())
}

/// Returns true for `2026-01-02T…` and `2026-01-02 …`.
fn begins_with_a_date(cell: &str) -> bool {
    let bytes = cell.as_bytes();
    bytes.len() > 11
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && matches!(bytes[10], b'T' | b't' | b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cells: &[&str], expected: Kind) -> Option<String> {
        let mut guess = Guess::default();
        cells.iter().for_each(|cell| guess.add(cell));
        let (kind, note) = guess.kind("c", None);
        assert_eq!(kind, expected, "{cells:?}");
        if kind != Kind::Text {
            assert!(cells.iter().all(|cell| value(cell, kind, &NaiveTimes::Utc).is_some()));
        }
        note.map(|note| note.to_string())
    }

    #[test]
    fn a_column_of_numbers_has_numbers_only() {
        check(&["1", "", "-7"], Kind::Number);
        check(&["1", "2.5", "NaN", "inf"], Kind::Number);
        check(&["2.50", "10.25", "3.00"], Kind::Number);
        check(&["1e-05", "3.0"], Kind::Number);
    }

    #[test]
    fn one_cell_that_would_change_makes_a_column_of_texts() {
        for cells in [
            &["10.10", "10.9"][..],
            &["10.10", "10.10.1"],
            &["7e10", "12345", "abc"],
            &["7e10", "12345"],
            &["0E0", "ABC"],
            &["007", "8"],
            &["nan", "inf"],
            &["2.50", "3"],
            &["12345678901234567890"],
            &["true", "True"],
            &["true", "1"],
        ] {
            check(cells, Kind::Text);
        }
        let note = check(&["10.10", "10.9"], Kind::Text).unwrap();
        assert!(note.contains("--number c"), "{note}");
        let note = check(&["1,5", "2,25"], Kind::Text).unwrap();
        assert!(note.contains("--decimal-comma"), "{note}");
        assert_eq!(check(&["abc", "7"], Kind::Text), None);
        assert_eq!(check(&["", ""], Kind::Text), None);
    }

    #[test]
    fn other_types() {
        check(&["true", "false"], Kind::Bool);
        check(&["TRUE", "FALSE", ""], Kind::Bool);
        check(&["2026-01-02T03:04:05Z", "2026-01-02 03:04:05.000007+01:00"], Kind::Instant);
        check(&["2026-01-02T03:04:05.0000007Z"], Kind::Text);
        check(&["2026-01-02"], Kind::Text);
        let note = check(&["2026-01-02 03:04:05"], Kind::Text).unwrap();
        assert!(note.contains("--naive"), "{note}");
    }
}
