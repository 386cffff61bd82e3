//! From a history line back to its row.

use streamtable_schema::{Row, Timestamp, Value};

use crate::cell;
use crate::json::{JsonError, parse};

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
        let Value::Struct(cells) = parse(line)? else {
            return Err(JsonError { position: 0, expected: "an object" });
        };
        let mut this = Self::default();
        for (name, value) in cells {
            match (&*name, &value) {
                ("_client_id", Value::String(writer)) => this.writer = Some(writer.clone()),
                ("_timestamp", Value::Int(_) | Value::Float(_)) => {
                    this.logged_at = number(&value).and_then(from_seconds);
                }
                ("_step", Value::Int(step)) if i64::try_from(*step).is_ok() => {
                    this.step = Some(*step as i64);
                }
                ("_runtime", Value::Int(_) | Value::Float(_)) => this.runtime = number(&value),
                _ => this.row.push(name, cell::read(value)),
            }
        }
        Ok(this)
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(n) => Some(*n as f64),
        Value::Float(x) => Some(*x),
        _ => None,
    }
}

fn from_seconds(seconds: f64) -> Option<Timestamp> {
    let micros = (seconds * 1e6).round();
    (micros.abs() < 9.2e18).then_some(Timestamp::from_micros(micros as i64))
}
