//! What any [`Backend`] must do, as a suite of cases.
//!
//! The suite gets a constructor of the backend and a function that reads the stored rows. It
//! appends rows as the client does, with [faults](AppendFault): calls that fail before, halfway or
//! afterwards, arrive twice or late, are dropped or panic. It then compares what is stored. A
//! failure says what happened to which row, such as `row 3 was stored twice after a lost answer`.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::{Arc, Mutex};
//!
//! use streamtable::conformance::Suite;
//! use streamtable::{
//!     Append, AppendError, Appended, Backend, ColumnPolicy, HistoryLine, Open, OpenError, Opened,
//!     Row, Schema, TablePath, async_trait,
//! };
//!
//! /// The rows of each table in order, each with its writer and line.
//! type Tables = BTreeMap<TablePath, Vec<((Arc<str>, u64), Row)>>;
//!
//! /// Stores rows in memory.
//! #[derive(Clone, Debug, Default)]
//! struct InMemory {
//!     tables: Arc<Mutex<Tables>>,
//! }
//!
//! impl InMemory {
//!     fn rows(&self, table: &TablePath) -> Vec<Row> {
//!         let tables = self.tables.lock().unwrap();
//!         tables.get(table).into_iter().flatten().map(|(_, row)| row.clone()).collect()
//!     }
//! }
//!
//! #[async_trait]
//! impl Backend for InMemory {
//!     async fn open(&self, open: Open) -> Result<Opened, OpenError> {
//!         let table = open.name.to_path()?;
//!         let mut schema = Schema::new(ColumnPolicy::Evolve);
//!         for row in self.rows(&table) {
//!             schema.admit(&row).map_err(OpenError::backend)?;
//!         }
//!         Ok(Opened::new(table).with_schema(&schema))
//!     }
//!
//!     async fn append(&self, append: Append) -> Result<Appended, AppendError> {
//!         let mut tables = self.tables.lock().unwrap();
//!         let stored = tables.entry(append.table.clone()).or_default();
//!         for (line, text) in append.rows() {
//!             let id = (append.writer.clone(), line);
//!             // The client sends a line again until it gets the answer.
//!             if !stored.iter().any(|(other, _)| *other == id) {
//!                 let row = HistoryLine::parse(text).map_err(AppendError::transient)?.row;
//!                 stored.push((id, row));
//!             }
//!         }
//!         Ok(Appended::default())
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() {
//!     let storage = InMemory::default();
//!     let (make, read) = (storage.clone(), storage);
//!     let suite = Suite::new(
//!         move || make.clone(),
//!         move |table| std::future::ready(Ok::<_, std::io::Error>(read.rows(&table))),
//!     );
//!     suite.assert_conforms().await;
//! }
//! ```
//!
//! [`Backend`]: crate::Backend

mod columns;
mod compare;
mod fault;
mod limit;
mod media;
mod once;
mod order;
mod reopen;
#[cfg(test)]
mod tests;
mod writer;

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use streamtable_schema::{Row, TableName, TablePath};

pub use fault::{AppendFault, AppendPlan, FaultyBackend, NotAPlan};

use crate::{Backend, Open, Opened};
use limit::within;
use writer::Writer;

/// An error of the caller's functions.
type AnyError = Box<dyn Error + Send + Sync>;
type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type Make = Box<dyn Fn() -> Arc<dyn Backend> + Send + Sync>;
type Read = Box<dyn Fn(TablePath) -> Pending<'static, Result<Vec<Row>, AnyError>> + Send + Sync>;
type ReadFile =
    Box<dyn Fn(TablePath, String) -> Pending<'static, Result<Vec<u8>, AnyError>> + Send + Sync>;

/// The outcome of a case: nothing, or a sentence that describes the failure.
type Check<T = ()> = Result<T, String>;

/// The suite for one backend.
///
/// Each case uses tables of its own, in a new project of the entity `conformance`.
pub struct Suite {
    make: Make,
    read: Read,
    read_file: Option<ReadFile>,
    skipped: Vec<String>,
    time_limit: Duration,
    project: String,
}

/// A failed case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{case}: {what}")]
pub struct Failure {
    /// The case's name.
    pub case: &'static str,
    /// What happened, in words.
    pub what: String,
}

/// One requirement of a backend.
struct Case {
    name: &'static str,
    run: for<'a> fn(&'a Suite, &'static str) -> Pending<'a, Check>,
}

const CASES: &[&[Case]] = &[order::CASES, once::CASES, columns::CASES, reopen::CASES, media::CASES];

impl Suite {
    /// Creates the suite for a backend.
    ///
    /// `make` creates an instance over the same storage each time, as a program does that starts
    /// again. `read` returns the stored rows of a table in their order, without the instance, for
    /// example over a connection of its own; a table that does not exist has no rows.
    pub fn new<B, R, E>(
        make: impl Fn() -> B + Send + Sync + 'static,
        read: impl Fn(TablePath) -> R + Send + Sync + 'static,
    ) -> Self
    where
        B: Backend + 'static,
        R: Future<Output = Result<Vec<Row>, E>> + Send + 'static,
        E: Into<AnyError>,
    {
        Self {
            make: Box::new(move || Arc::new(make())),
            read: Box::new(move |table| {
                let rows = read(table);
                Box::pin(async move { rows.await.map_err(Into::into) })
            }),
            read_file: None,
            skipped: Vec::new(),
            time_limit: Duration::from_secs(60),
            project: format!("suite-{}", uuid::Uuid::new_v4().simple()),
        }
    }

    /// Adds the cases for media. `read` returns the content of a stored file.
    #[must_use]
    pub fn with_media<R, E>(
        mut self,
        read: impl Fn(TablePath, String) -> R + Send + Sync + 'static,
    ) -> Self
    where
        R: Future<Output = Result<Vec<u8>, E>> + Send + 'static,
        E: Into<AnyError>,
    {
        self.read_file = Some(Box::new(move |table, path| {
            let bytes = read(table, path);
            Box::pin(async move { bytes.await.map_err(Into::into) })
        }));
        self
    }

    /// Skips a case, such as one that needs two instances at a time.
    ///
    /// # Panics
    ///
    /// Panics if there is no case with this name.
    #[must_use]
    pub fn skip(mut self, case: &str) -> Self {
        assert!(Self::cases().any(|name| name == case), "there is no case {case:?}");
        self.skipped.push(case.to_owned());
        self
    }

    /// Sets the time after which a case fails, because a call of the backend does not return. The
    /// default is 60 s.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Returns the names of all cases.
    pub fn cases() -> impl Iterator<Item = &'static str> {
        CASES.iter().copied().flatten().map(|case| case.name)
    }

    /// Runs all cases, one after another, and returns those that failed.
    ///
    /// Waits only for the backend and the reader, so any runtime will do. A backend that blocks its
    /// thread for ever blocks this call, too.
    pub async fn run(&self) -> Vec<Failure> {
        let mut failures = Vec::new();
        for case in CASES.iter().copied().flatten() {
            if self.skipped.iter().any(|name| name == case.name) {
                continue;
            }
            let outcome = within(self.time_limit, (case.run)(self, case.name)).await;
            let outcome = outcome.unwrap_or_else(|| {
                let limit = self.time_limit;
                Err(format!(
                    "not done within {limit:?}, because a call of the backend does not return"
                ))
            });
            if let Err(what) = outcome {
                failures.push(Failure { case: case.name, what });
            }
        }
        failures
    }

    /// Runs all cases.
    ///
    /// # Panics
    ///
    /// Panics if one fails; the message lists the failed cases.
    pub async fn assert_conforms(&self) {
        let failures = self.run().await;
        let list: Vec<String> = failures.iter().map(|failure| format!("\n- {failure}")).collect();
        assert!(failures.is_empty(), "the backend fails {} cases:{}", list.len(), list.concat());
    }

    fn make(&self) -> Arc<dyn Backend> {
        (self.make)()
    }

    fn table(&self, table: &str) -> Check<TablePath> {
        TablePath::new("conformance", &self.project, table).map_err(|error| error.to_string())
    }

    async fn read(&self, table: &TablePath) -> Check<Vec<Row>> {
        (self.read)(table.clone()).await.map_err(|error| format!("the reader failed: {error}"))
    }

    /// Opens a table on an instance.
    async fn open(&self, backend: &dyn Backend, table: &TablePath) -> Check<Opened> {
        let name = TableName::from(table.clone());
        let open = Open { name, timeout: Duration::from_secs(60) };
        let opened = backend.open(open).await.map_err(|error| format!("`open` failed: {error}"))?;
        ensure!(
            opened.table == *table,
            "`open` of the table {table} returned the path {}",
            opened.table
        );
        Ok(opened)
    }

    /// Opens a table and returns a new writer of it.
    async fn writer(&self, backend: &dyn Backend, table: &TablePath) -> Check<Writer> {
        Ok(Writer::new(table, self.open(backend, table).await?.first_line))
    }

    /// Checks that exactly the numbered rows `0..count` are stored in a table.
    async fn check(&self, table: &TablePath, count: usize, story: &str) -> Check {
        compare::check_rows(&self.read(table).await?, count, story)
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite").field("project", &self.project).finish_non_exhaustive()
    }
}

/// Creates a case from an async function that takes the suite and a table of its own.
macro_rules! case {
    ($function:ident) => {
        super::Case {
            name: stringify!($function),
            run: |suite, name| Box::pin(async move { $function(suite, &suite.table(name)?).await }),
        }
    };
}

/// Fails a case unless a condition is true.
macro_rules! ensure {
    ($condition:expr, $($what:tt)*) => {
        if !$condition {
            return Err(format!($($what)*));
        }
    };
}

use {case, ensure};
