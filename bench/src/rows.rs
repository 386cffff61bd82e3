//! The workload: ten columns of mixed types, about 220 bytes per row as JSON. Fixed, so that runs
//! are comparable.
//!
//! `peers/rows.py` generates the same rows.

use serde::Serialize;
use streamtable_schema::{Row, Value};

/// A row as a typed struct.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    loss: f64,
    accuracy: f64,
    learning_rate: f64,
    step: u64,
    tokens: i64,
    run: String,
    host: String,
    prompt: String,
    is_cached: bool,
    score: Score,
}

/// A column that contains numbers and strings.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Score {
    Number(i64),
    Text(String),
}

impl Sample {
    /// Makes row `i`.
    pub(crate) fn new(i: u64) -> Self {
        let mix = mix(i);
        let score = match i % 2 {
            0 => Score::Number((mix % 9) as i64),
            _ => Score::Text(format!("grade-{}", mix % 9)),
        };
        Self {
            loss: (mix % 1_000_000) as f64 / 1e6,
            accuracy: (mix % 997) as f64 / 997.0,
            learning_rate: 1e-3 / (1 + i % 1000) as f64,
            step: i,
            tokens: (mix % 65_536) as i64,
            run: format!("run-{:04}", mix % 40),
            host: format!("worker-{:04}.local", mix % 4096),
            prompt: format!("request {i:09} of session {:012}", mix % 1_000_000_007),
            is_cached: !mix.is_multiple_of(13),
            score,
        }
    }

    /// Converts it to a `Row`.
    pub(crate) fn to_row(&self) -> Row {
        let score = match &self.score {
            Score::Number(number) => Value::from(*number),
            Score::Text(text) => Value::from(text.as_str()),
        };
        [
            ("loss", Value::from(self.loss)),
            ("accuracy", Value::from(self.accuracy)),
            ("learning_rate", Value::from(self.learning_rate)),
            ("step", Value::from(self.step)),
            ("tokens", Value::from(self.tokens)),
            ("run", Value::from(self.run.as_str())),
            ("host", Value::from(self.host.as_str())),
            ("prompt", Value::from(self.prompt.as_str())),
            ("is_cached", Value::from(self.is_cached)),
            ("score", score),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}

/// Makes a row with this many float columns.
pub(crate) fn wide(i: u64, columns: usize) -> Row {
    let value = |column: usize| (mix(i + column as u64) % 1_000_000) as f64 / 1e3;
    (0..columns).map(|column| (format!("c{column:04}"), Value::from(value(column)))).collect()
}

/// A hash, so that the columns are not correlated.
fn mix(i: u64) -> u64 {
    i.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20
}
