//! From a history line back to its row.

#[cfg(test)]
mod tests;

use streamtable_schema::{Row, Timestamp, Value};

use crate::cell;
use crate::json::{JsonError, parse_object};

/// One line of a history file: a row, and what the protocol says of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryLine {
    /// The row as it was logged, `timestamp` included, media as references to their files.
    pub row: Row,
    /// The writer's id; clients of the present SDK send none.
    pub writer: Option<String>,
    /// When the row was logged, by the writer's clock.
    pub logged_at: Option<Timestamp>,
    /// The row's number in its run, where the client counts.
    pub step: Option<i64>,
    /// Seconds since the run began, where the client measures.
    pub runtime: Option<f64>,
}

impl HistoryLine {
    /// Reads a line as any client of the protocol writes it.
    ///
    /// A line that is JSON but no object, and one that is no JSON at all, are errors; anything
    /// else is a row. A column that the protocol owns but that holds something else than it should
    /// stays a column of the row.
    ///
    /// The time of logging travels as a float of seconds. Until the year 2242 that gives the very
    /// microsecond that was written, beyond it the nearest that the float can tell.
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
            // Every row has an instant; the short way to it saves reading a struct first.
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

    /// Takes what the protocol says of the row, and gives back what is a cell of it.
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

/// Rounds the whole seconds and the rest apart, so that the rest keeps all its digits.
fn from_seconds(seconds: f64) -> Option<Timestamp> {
    if !seconds.is_finite() {
        return None;
    }
    let whole = (seconds.trunc() as i128).saturating_mul(1_000_000);
    let rest = (seconds.fract() * 1e6).round() as i128;
    Some(Timestamp::from_micros(i64::try_from(whole.saturating_add(rest)).ok()?))
}
