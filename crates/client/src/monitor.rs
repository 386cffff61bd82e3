//! Pieces of work as rows: what went in, what came out, and how long it took.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Instant;

use serde::Serialize;
use streamtable_schema::{Row, SchemaError, Timestamp, Value};

use crate::shared::now;
use crate::{LogError, Refusal, StreamTable, blocking};

/// Logs pieces of work as rows.
///
/// Each row has the columns `name`, `start`, `end`, `latency` in seconds, `inputs`, `output` and
/// `exception`, and behind them what [`Record::add`] adds. Where what came out of one piece of work
/// does not go into a column with what came out of another, such as a list beside a number, the
/// column is null, and the column `misfit` has the value as JSON. For both the table's columns must
/// [evolve](crate::ColumnPolicy::Evolve). Nothing here waits: a row that finds no room is refused.
///
/// ```
/// # use streamtable_mock_backend::MockBackend;
/// use streamtable::{Monitor, blocking::StreamTable};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let builder = StreamTable::builder("me/shop/calls").transport(MockBackend::default());
/// # let builder = builder.columns(streamtable::ColumnPolicy::Evolve).no_spool();
/// # let table = builder.api_key("local-key").base_url("http://mock.invalid").quiet().open_blocking()?;
/// let monitor = Monitor::new(&table);
/// let price = monitor.run("price", &("tea", 2), || 2.0 * 9.5);
/// assert_eq!(price, 19.0);
///
/// let parsed: Result<i32, _> = monitor.try_run("parse", "x", || "x".parse());
/// assert!(parsed.is_err());
///
/// let mut record = monitor.begin("import");
/// record.output(&3);
/// record.finish()?;
/// assert_eq!(table.finish()?.acked, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Monitor {
    table: StreamTable,
}

impl Monitor {
    /// Makes a monitor that logs to a table, which is kept open by it.
    pub fn new(table: &impl AsTable) -> Self {
        Self { table: table.handle() }
    }

    /// Begins a piece of work. It is logged when it is [finished](Record::finish) or dropped.
    pub fn begin(&self, name: &str) -> Record {
        Record {
            start: self.table.time(),
            began: now(),
            inputs: Value::Null,
            output: Value::Null,
            exception: Value::Null,
            data: Row::new(),
            name: name.to_owned(),
            table: Some(self.table.clone()),
        }
    }

    /// Does a piece of work.
    pub fn run<I: Serialize + ?Sized, O: Serialize>(
        &self,
        name: &str,
        inputs: &I,
        work: impl FnOnce() -> O,
    ) -> O {
        let mut record = self.begin(name);
        record.inputs(inputs);
        let output = work();
        record.output(&output);
        output
    }

    /// Does a piece of work that may fail; its error is the row's `exception`.
    pub fn try_run<I: Serialize + ?Sized, O: Serialize, E: Display>(
        &self,
        name: &str,
        inputs: &I,
        work: impl FnOnce() -> Result<O, E>,
    ) -> Result<O, E> {
        let mut record = self.begin(name);
        record.inputs(inputs);
        let result = work();
        match &result {
            Ok(output) => record.output(output),
            Err(error) => record.failed(error),
        }
        result
    }
}

/// What a [`Monitor`] can log to: a [`StreamTable`] or a [`blocking::StreamTable`].
pub trait AsTable: sealed::Sealed {
    #[doc(hidden)]
    fn handle(&self) -> StreamTable;
}

impl AsTable for StreamTable {
    fn handle(&self) -> StreamTable {
        self.clone()
    }
}

impl AsTable for blocking::StreamTable {
    fn handle(&self) -> StreamTable {
        self.handle().clone()
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::StreamTable {}
    impl Sealed for crate::blocking::StreamTable {}
}

/// A piece of work under way.
///
/// Dropped without [`finish`](Self::finish) it is logged as well, by a panic with what it was as its
/// `exception`; then nobody hears if its row is refused, but for a line in the log.
#[derive(Debug)]
pub struct Record {
    name: String,
    start: Timestamp,
    began: Instant,
    inputs: Value,
    output: Value,
    exception: Value,
    data: Row,
    /// Taken when it is logged.
    table: Option<StreamTable>,
}

impl Record {
    /// Says what went in.
    pub fn inputs(&mut self, inputs: &(impl Serialize + ?Sized)) {
        self.inputs = value(inputs);
    }

    /// Says what came out.
    pub fn output(&mut self, output: &(impl Serialize + ?Sized)) {
        self.output = value(output);
    }

    /// Says that it failed, and why.
    pub fn failed(&mut self, error: &impl Display) {
        self.exception = error.to_string().into();
    }

    /// Adds a column to the row.
    pub fn add(&mut self, name: &str, data: &(impl Serialize + ?Sized)) {
        self.data.push(name.to_owned(), value(data));
    }

    /// Ends the work, and logs it.
    pub fn finish(mut self) -> Result<(), LogError> {
        self.log()
    }

    fn log(&mut self) -> Result<(), LogError> {
        let Some(table) = self.table.take() else { return Ok(()) };
        let take = |value: &mut Value| std::mem::replace(value, Value::Null);
        let mut row = Row::new()
            .with("name", std::mem::take(&mut self.name))
            .with("start", self.start)
            .with("end", table.time())
            .with("latency", now().duration_since(self.began).as_secs_f64())
            .with("inputs", take(&mut self.inputs))
            .with("output", take(&mut self.output))
            .with("exception", take(&mut self.exception));
        row.extend(std::mem::take(&mut self.data));
        log_fitting(&table, row)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.table.is_some() && std::thread::panicking() {
            self.exception = "a panic".into();
        }
        if let Err(error) = self.log() {
            tracing::warn!(%error, "a record was not logged");
        }
    }
}

/// The column of what does not fit its own.
const MISFIT: &str = "misfit";

/// Logs a row, with those of its values elsewhere that do not fit their columns.
fn log_fitting(table: &StreamTable, mut row: Row) -> Result<(), LogError> {
    let mut misfits = Row::new();
    loop {
        let Err(mut error) = table.try_log(row) else { return Ok(()) };
        let column = match error.refused.first().map(|refused| &refused.reason) {
            Some(Refusal::Schema(SchemaError::Mismatch { column, .. })) if column != MISFIT => {
                column.clone()
            }
            _ => return Err(error),
        };
        let Some(back) = error.refused[0].row.take() else { return Err(error) };
        row = Row::new();
        for (name, value) in back {
            if name == column {
                misfits.push(name.clone(), value);
                row.push(name, Value::Null);
            } else if name != MISFIT {
                row.push(name, value);
            }
        }
        row.push(MISFIT, serde_json::to_string(&misfits).unwrap_or_default());
    }
}

/// Makes a value of anything that serializes, if only a text that says why it cannot.
fn value(data: &(impl Serialize + ?Sized)) -> Value {
    let row = Row::from_serialize(&BTreeMap::from([("", data)]));
    match row.map(|row| row.into_iter().next()) {
        Ok(cell) => cell.map_or(Value::Null, |(_, value)| value),
        Err(error) => error.to_string().into(),
    }
}
