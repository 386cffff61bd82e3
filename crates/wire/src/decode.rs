//! Decoding of history lines to rows.

#[cfg(test)]
mod tests;

use streamtable_schema::{Row, Timestamp, Value};

use crate::cell;
use crate::json::{JsonError, parse_object};

/// One line of a history file: a row and its protocol fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryLine {
    /// The row as it was logged, including `timestamp`; media refer to their files.
    pub row: Row,
    /// The writer's id; clients of the current SDK send none.
    pub writer: Option<String>,
    /// The time of logging, by the writer's clock.
    pub logged_at: Option<Timestamp>,
    /// The row's number in its run, if the client sends it.
    pub step: Option<i64>,
    /// Seconds since the run began, if the client sends them.
    pub runtime: Option<f64>,
}

impl HistoryLine {
    /// Parses a line as any client of the protocol writes it.
    ///
    /// A line that is not a JSON object is an error; every object is a row. A protocol field with a
    /// value of the wrong type stays a column of the row.
    ///
    /// The time of logging is a float of seconds on the wire. Until the year 2242 it is decoded to
    /// the exact microsecond; later it has the float's precision.
    ///
    /// ```
    /// use streamtable_schema::row;
    /// use streamtable_wire::HistoryLine;
    ///
    /// let line = HistoryLine::parse(r#"{"loss": NaN, "_step": 3, "_timestamp": 1.7e9}"#)?;
    /// assert_eq!(line.row, row! { "loss" => f64::NAN });
    /// assert_eq!(line.step, Some(3));
    /// # Ok::<(), streamtable_wire::json::JsonError>(())
    /// ```
    pub fn parse(line: &str) -> Result<Self, JsonError> {
        let cells = parse_object(line, |parser, room| {
            // Every row has a timestamp; the fast path avoids building a struct first.
            match cell::instant(parser.rest()) {
                Some((at, bytes)) => {
                    parser.skip(bytes);
                    Ok(at.into())
                }
                None => parser.value(room),
            }
        })?;
        let mut this = Self { row: Row::with_capacity(cells.len()), ..Self::default() };
        for (name, value) in cells {
            if let Some(value) = this.take(&name, value) {
                this.row.push(name.into_owned(), cell::read(value));
            }
        }
        Ok(this)
    }

    /// Makes a line of the cells of a row that was not logged by a client of the protocol: those with the
    /// names of protocol fields become these, as in [`parse`](Self::parse). A `_timestamp` may be an
    /// instant, too.
    pub fn of_row(row: Row) -> Self {
        let mut this = Self { row: Row::with_capacity(row.len()), ..Self::default() };
        for (name, value) in row {
            match (&*name, value) {
                ("_timestamp", Value::Timestamp(at)) => this.logged_at = Some(at),
                (_, value) => {
                    if let Some(value) = this.take(&name, value) {
                        this.row.push(name, value);
                    }
                }
            }
        }
        this
    }

    /// Stores a protocol field, and returns the value if it is a cell of the row instead.
    fn take(&mut self, name: &str, value: Value) -> Option<Value> {
        match (name, value) {
            ("_client_id", Value::String(writer)) => self.writer = Some(writer),
            ("_timestamp", value) => match number(&value).and_then(from_seconds) {
                Some(at) => self.logged_at = Some(at),
                None => return Some(value),
            },
            ("_step", Value::Int(step)) => match i64::try_from(step) {
                Ok(step) => self.step = Some(step),
                Err(_) => return Some(Value::Int(step)),
            },
            ("_runtime", value) => match number(&value) {
                Some(seconds) if seconds.is_finite() => self.runtime = Some(seconds),
                _ => return Some(value),
            },
            (_, value) => return Some(value),
        }
        None
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(n) => Some(*n as f64),
        Value::Float(x) => Some(*x),
        _ => None,
    }
}

/// Rounds seconds and fraction separately, so that the fraction keeps all its digits.
fn from_seconds(seconds: f64) -> Option<Timestamp> {
    if !seconds.is_finite() {
        return None;
    }
    let whole = (seconds.trunc() as i128).saturating_mul(1_000_000);
    let rest = (seconds.fract() * 1e6).round() as i128;
    Some(Timestamp::from_micros(i64::try_from(whole.saturating_add(rest)).ok()?))
}
