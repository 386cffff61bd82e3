//! What travels next to the cells of a row: its time, and what readers of tables add.

use streamtable_schema::{Row, TIMESTAMP_COLUMN, Timestamp, Value, row_time_of_text};

use super::Options;
use crate::Note;

/// A unit of numbers that count from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds, rounded down to microseconds.
    Nanos,
}

impl TimeUnit {
    /// Returns the instant of a number, if it is in the years 1 to 9999.
    fn instant(self, number: &Value) -> Option<Timestamp> {
        let micros = match (self, number) {
            (Self::Seconds, Value::Int(n)) => n.checked_mul(1_000_000)?,
            (Self::Millis, Value::Int(n)) => n.checked_mul(1000)?,
            (Self::Micros, Value::Int(n)) => *n,
            (Self::Nanos, Value::Int(n)) => n.div_euclid(1000),
            (unit, Value::Float(x)) => {
                let micros = match unit {
                    // Rounded apart, so that the fraction keeps its digits.
                    Self::Seconds => x.trunc() * 1e6 + (x.fract() * 1e6).round(),
                    Self::Millis => (x * 1e3).round(),
                    Self::Micros => x.floor(),
                    Self::Nanos => (x / 1e3).floor(),
                };
                // A number out of range saturates, and is refused below.
                micros.is_finite().then_some(micros as i128)?
            }
            _ => return None,
        };
        Some(Timestamp::from_micros(i64::try_from(micros).ok()?)).filter(|at| at.is_storable())
    }
}

/// The columns that readers of tables add to those of a table. A server assigns new ones to logged rows.
const ADDED: [&str; 7] = ["_position", "_writer", "_line", "_client_id", "_step", "_runtime", TIME];

/// The time of a row in exports, if the row has another `timestamp`: an instant, or seconds since 1970 in
/// exports of W&B.
const TIME: &str = "_timestamp";

/// Separates the cells of rows from the columns that readers added.
pub(super) struct Metadata {
    skip: Vec<String>,
    unit: Option<TimeUnit>,
    is_noted: bool,
    /// The columns of [`ADDED`] that were left out.
    left_out: [bool; ADDED.len()],
}

impl Metadata {
    pub(super) fn new(options: &Options) -> Self {
        let (skip, unit) = (options.skip.clone(), options.timestamp);
        Self { skip, unit, is_noted: false, left_out: Default::default() }
    }

    /// Removes cells that a row should not have, and reads its time. Returns a note on the first cell
    /// `timestamp` that is not the time of its row.
    pub(super) fn take_out(&mut self, row: &mut Row) -> Option<Note> {
        for name in &self.skip {
            row.remove(name);
        }
        let mut time = None;
        if row.cells().any(|(name, _)| name.starts_with('_')) {
            for (name, is_left_out) in ADDED.into_iter().zip(&mut self.left_out) {
                let Some(value) = row.remove(name) else { continue };
                *is_left_out = true;
                if name == TIME {
                    time = instant(&value, Some(TimeUnit::Seconds));
                }
            }
        }
        let Some(cell) = row.get_mut(TIMESTAMP_COLUMN) else {
            if let Some(time) = time {
                row.push(TIMESTAMP_COLUMN, time);
                self.left_out[ADDED.len() - 1] = false;
            }
            return None;
        };
        match instant(cell, self.unit) {
            // The server reads the texts of times.
            Some(_) if matches!(cell, Value::String(_)) => None,
            Some(time) => {
                *cell = time.into();
                None
            }
            None if *cell == Value::Null || std::mem::replace(&mut self.is_noted, true) => None,
            None => Some(no_time(cell)),
        }
    }

    /// Returns a note on the columns that were left out.
    pub(super) fn left_out(&self) -> Option<Note> {
        let names = ADDED.into_iter().zip(self.left_out).filter(|(_, is_left_out)| *is_left_out);
        let names: Vec<&str> = names.map(|(name, _)| name).collect();
        let text =
            format!("columns that the server assigns anew were left out: {}", names.join(", "));
        (!names.is_empty()).then(|| Note::new(text))
    }
}

/// Returns the instant that a value is, or that it names.
fn instant(value: &Value, unit: Option<TimeUnit>) -> Option<Timestamp> {
    match value {
        Value::Timestamp(at) => Some(*at),
        Value::String(text) => row_time_of_text(text),
        number => unit?.instant(number),
    }
}

fn no_time(cell: &Value) -> Note {
    let (what, hint) = match cell {
        Value::Int(_) | Value::Float(_) => {
            ("a number", "; if it is the time of the row, name its unit with --timestamp")
        }
        _ => ("no instant with a zone", ""),
    };
    let text = format!(
        "{what}, so it stays a column like others, and the time of logging is `_timestamp`{hint}"
    );
    Note::column(TIMESTAMP_COLUMN, text)
}
