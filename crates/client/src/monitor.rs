//! Logging of function calls: inputs, output, exception and time.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Instant;

use serde::Serialize;
use streamtable_schema::{Row, Timestamp, Value};

use crate::shared::now;
use crate::{LogError, StreamTable, blocking};

/// Logs calls as rows.
///
/// Each row has the columns `name`, `start`, `end`, `latency` in seconds, `inputs`, `output` and
/// `exception`, followed by the columns added with [`Record::add`]. Adding columns requires that the
/// table's columns [evolve](crate::ColumnPolicy::Evolve). Monitoring never waits: a row that does not fit
/// into the buffer is refused.
///
/// ```no_run
/// use streamtable::blocking::StreamTable;
/// use streamtable::{ColumnPolicy, Monitor};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let builder = StreamTable::builder("my-team/shop/calls").columns(ColumnPolicy::Evolve);
///     let table = builder.open_blocking()?;
///     let monitor = Monitor::new(&table);
///     let price = monitor.run("price", &("tea", 2), || 2.0 * 9.5);
///     assert_eq!(price, 19.0);
///
///     let parsed: Result<i32, _> = monitor.try_run("parse", "x", || "x".parse());
///     assert!(parsed.is_err());
///
///     let mut record = monitor.begin("import");
///     record.output(&3);
///     record.finish()?;
///     println!("{}", table.finish()?); // 3 logged, 3 acked, 0 pending, …
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Monitor {
    table: StreamTable,
}

impl Monitor {
    /// Creates a monitor that logs to a table. The monitor keeps the table open.
    pub fn new(table: &impl AsTable) -> Self {
        Self { table: table.handle() }
    }

    /// Begins a record. It is logged when it is [finished](Record::finish) or dropped.
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

    /// Runs a function and logs the call.
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

    /// Runs a function that may fail and logs the call. The error is stored as the row's
    /// `exception`.
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

/// A table that a [`Monitor`] can log to: a [`StreamTable`] or a [`blocking::StreamTable`].
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

/// A call that is being recorded.
///
/// If it is dropped without [`finish`](Self::finish), it is logged as well; during a panic, its
/// `exception` says so. A row refused in this case is only reported by a log message.
#[derive(Debug)]
pub struct Record {
    name: String,
    start: Timestamp,
    began: Instant,
    inputs: Value,
    output: Value,
    exception: Value,
    data: Row,
    /// `None` after the record was logged.
    table: Option<StreamTable>,
}

impl Record {
    /// Records the inputs.
    pub fn inputs(&mut self, inputs: &(impl Serialize + ?Sized)) {
        self.inputs = value(inputs);
    }

    /// Records the output.
    pub fn output(&mut self, output: &(impl Serialize + ?Sized)) {
        self.output = value(output);
    }

    /// Records that the call failed, and why.
    pub fn failed(&mut self, error: &impl Display) {
        self.exception = error.to_string().into();
    }

    /// Adds a column to the row.
    pub fn add(&mut self, name: &str, data: &(impl Serialize + ?Sized)) {
        self.data.push(name.to_owned(), value(data));
    }

    /// Ends the record and logs it.
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
        table.offer(row).map(drop).inspect_err(|_| table.count_refused())
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

/// Converts anything that serializes to a value. If that fails, returns the error as text.
fn value(data: &(impl Serialize + ?Sized)) -> Value {
    let row = Row::from_serialize(&BTreeMap::from([("", data)]));
    match row.map(|row| row.into_iter().next()) {
        Ok(cell) => cell.map_or(Value::Null, |(_, value)| value),
        Err(error) => error.to_string().into(),
    }
}
