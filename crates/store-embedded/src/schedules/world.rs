//! A running schedule: a store in a folder, and a model of its content.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use futures_util::TryStreamExt as _;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use streamtable_schema::{ColumnPolicy, TablePath, Timestamp, Value};
use streamtable_store::{
    Append as _, Batch, LineNumber, OnDuplicate, Query as _, Read as _, ReadRow, ResultTypes,
    SqlQuery, Store as _, StoreError,
};
use tempfile::TempDir;

use super::Op;
use crate::log::{list, read_segment};
use crate::{EmbeddedStore, StoreConfig};

/// The expected content of a table: the lines of writers in order of arrival, and the run's lines.
#[derive(Clone, Default)]
struct Model {
    once: Vec<Line>,
    /// The run's lines in the order in which their contents arrived.
    run: Vec<(u64, Value)>,
    /// How many batches had new content.
    batches: usize,
}

/// A line of a writer.
#[derive(Clone, Debug)]
struct Line {
    writer: String,
    number: u64,
    value: Value,
    /// The number of the batch that it arrived in.
    batch: usize,
}

impl Model {
    fn has(&self, writer: &str, number: u64) -> bool {
        self.once.iter().any(|it| it.writer == writer && it.number == number)
    }

    /// A line with unchanged content keeps its position.
    fn overwrite(&mut self, first: u64, values: Vec<Value>) {
        for written in (first..).zip(values) {
            if !self.run.contains(&written) {
                self.run.retain(|(line, _)| *line != written.0);
                self.run.push(written);
            }
        }
    }

    fn append(&mut self, writer: &str, first: u64, values: Vec<Value>) {
        self.batches += 1;
        for (number, value) in (first..).zip(values) {
            if !self.has(writer, number) {
                let writer = writer.to_owned();
                self.once.push(Line { writer, number, value, batch: self.batches });
            }
        }
    }
}

pub(super) struct World {
    folder: TempDir,
    /// `None` only while no process runs.
    store: Option<EmbeddedStore>,
    model: Model,
}

impl World {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut world = Self { folder, store: None, model: Model::default() };
        world.open().await;
        world
    }

    async fn open(&mut self) {
        self.store = Some(open(self.folder.path()).await);
    }

    async fn crash(&mut self) {
        self.store = None;
        self.open().await;
    }

    fn store(&self) -> &EmbeddedStore {
        self.store.as_ref().expect("a process is there between operations")
    }

    async fn flush(&mut self) {
        self.store().flush().await.unwrap();
    }

    pub(super) async fn step(&mut self, op: Op) -> TestCaseResult {
        match op {
            Op::Append { writer, first, count, kind } => {
                let (batch, values) = lines(&format!("w{writer}"), first..first + count, kind);
                self.store().append(batch).await.unwrap();
                self.model.append(&format!("w{writer}"), first, values);
            }
            Op::Overwrite { line, count, value: kind } => {
                let (batch, values) = lines("run", line..line + count, kind);
                let batch = Batch { on_duplicate: OnDuplicate::Replace, ..batch };
                self.store().append(batch).await.unwrap();
                self.model.overwrite(line, values);
            }
            Op::Flush => self.flush().await,
            Op::Crash => self.crash().await,
            Op::CrashAfterCommit => {
                let kept = Kept::of(self.folder.path());
                self.flush().await;
                self.store = None;
                kept.put_back(self.folder.path());
                self.open().await;
            }
            Op::Close => {
                self.store().close().await.unwrap();
                self.crash().await;
            }
            Op::CrashInFlush => {
                let unblock = block(&self.folder.path().join("tables/me/shop/requests"));
                // There may be nothing to flush.
                let _ = self.store().flush().await;
                self.store = None;
                unblock();
                self.open().await;
            }
            Op::CrashWhenFull { writer, first, count } => {
                // The next write needs a new file.
                self.flush().await;
                let (batch, values) = lines(&format!("w{writer}"), first..first + count, 0);
                let unblock = block(&self.folder.path().join("log"));
                // Repeated lines need no space.
                if self.store().append(batch).await.is_ok() {
                    self.model.append(&format!("w{writer}"), first, values);
                }
                self.store = None;
                unblock();
                self.open().await;
            }
            Op::Flip { at, bit } => self.flip(at, bit).await?,
        }
        self.check().await
    }

    async fn check(&self) -> TestCaseResult {
        let rows = self.rows().await;
        prop_assert!(rows.windows(2).all(|pair| pair[0].position < pair[1].position));
        let told = |line: &Line| (line.writer.clone(), line.number, line.value.clone());
        let expected: Vec<_> = self.model.once.iter().map(told).collect();
        prop_assert_eq!(&once(&rows), &expected);
        let run: Vec<(u64, Value)> = rows
            .iter()
            .filter(|row| row.writer == "run")
            .map(|row| (row.line, read(row)))
            .collect();
        prop_assert_eq!(&run, &self.model.run);
        let count = self.model.once.len() + run.len();
        prop_assert_eq!(rows.len(), count);
        if count > 0 {
            let told = self.store().table(&table()).await.unwrap().unwrap().summary.rows;
            prop_assert_eq!(told, count as u64);
            prop_assert_eq!(self.number("select count(*) from requests").await, count as i64);
            let distinct = "select count(*) from (select distinct _writer, _line from requests)";
            prop_assert_eq!(self.number(distinct).await, count as i64);
        }
        Ok(())
    }

    /// Flips a bit of a frame while no process runs. At most one batch may be lost, the loss must
    /// be reported, and all other rows must be unchanged.
    async fn flip(&mut self, at: usize, bit: u8) -> TestCaseResult {
        let log = self.folder.path().join("log");
        let segments = list(&log).unwrap().segments;
        // If newer lines of a run are damaged, older ones become visible; that would need another
        // model.
        let may_flip = self.model.run.is_empty();
        let Some(segment) = segments.last().filter(|_| may_flip) else { return Ok(()) };
        self.store = None;
        let path = segment.path(&log);
        let mut bytes = fs::read(&path).unwrap();
        let is_clean = read_segment(&bytes.clone().into()).damaged.is_empty();
        let places: Vec<usize> = (0..bytes.len()).filter(|&i| bytes[i] != 0).collect();
        if let (false, true) = (places.is_empty(), is_clean) {
            bytes[places[at % places.len()]] ^= 1 << bit;
            fs::write(&path, bytes).unwrap();
        }
        self.open().await;
        let present = once(&self.rows().await);
        let is_there =
            |line: &Line| present.iter().any(|(w, n, _)| *w == line.writer && *n == line.number);
        let missing: Vec<usize> =
            self.model.once.iter().filter(|it| !is_there(it)).map(|it| it.batch).collect();
        if let Some(&batch) = missing.first() {
            prop_assert!(missing.iter().all(|&it| it == batch), "more than one batch is missing");
            let recovery = self.store().recovery();
            prop_assert!(recovery.damaged.len() as u64 + recovery.torn > 0, "nothing was told");
            self.model.once.retain(|it| it.batch != batch);
        }
        Ok(())
    }

    /// Reads all rows, page by page.
    async fn rows(&self) -> Vec<ReadRow> {
        let mut all: Vec<ReadRow> = Vec::new();
        loop {
            let from = all.last().map_or(0, |row| row.position + 1);
            let page = self.store().read(&table(), from, 100).await.unwrap();
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    /// Answers a query whose result is one number.
    async fn number(&self, sql: &str) -> i64 {
        let query = SqlQuery {
            sql: sql.to_owned(),
            home: Some(("me".to_owned(), "shop".to_owned())),
            entities: None,
            timeout: Duration::from_secs(30),
            positions: false,
            types: ResultTypes::Flat,
            owner: None,
        };
        let batches: Vec<_> =
            self.store().query(query).await.unwrap().batches.try_collect().await.unwrap();
        batches[0].column(0).as_primitive::<Int64Type>().value(0)
    }
}

/// Opens the store in a folder.
pub(super) async fn open(folder: &Path) -> EmbeddedStore {
    // A store that was dropped just before may not have released its lock yet.
    for _ in 0..200 {
        match EmbeddedStore::open(StoreConfig::new(folder)).await {
            Err(StoreError::Io { reason }) if reason.contains("another process owns") => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            opened => return opened.unwrap(),
        }
    }
    panic!("the folder stays owned");
}

pub(super) fn table() -> TablePath {
    "me/shop/requests".parse().unwrap()
}

/// Makes lines of one kind of value, and the values that they are read back as.
fn lines(writer: &str, numbers: std::ops::Range<u64>, kind: u8) -> (Batch, Vec<Value>) {
    let (mut texts, mut values) = (Vec::new(), Vec::new());
    let first_line = numbers.start;
    for number in numbers {
        let (text, value) = value(kind, number);
        texts.push(format!(r#"{{"v":{text}}}"#).into());
        values.push(value);
    }
    let batch = Batch {
        table: table(),
        writer: writer.to_owned(),
        first_line: LineNumber::new(first_line).unwrap(),
        lines: texts,
        on_duplicate: OnDuplicate::Ignore,
        columns: ColumnPolicy::Evolve,
        received_at: Timestamp::from_millis(1_700_000_000_000),
    };
    (batch, values)
}

fn value(kind: u8, line: u64) -> (String, Value) {
    match kind {
        0 => (line.to_string(), Value::from(line)),
        1 => (format!("{line}.5"), Value::from(line as f64 + 0.5)),
        2 => (format!("\"text {line}\""), Value::from(format!("text {line}"))),
        3 => (format!("[{line}]"), vec![line].into()),
        _ => ("null".to_owned(), Value::Null),
    }
}

/// An integer among floats is read back as a float.
fn read(row: &ReadRow) -> Value {
    match row.row.get("v") {
        Some(Value::Float(x)) if x.fract() == 0.0 => Value::from(*x as u64),
        Some(value) => value.clone(),
        None => Value::Null,
    }
}

/// The rows of writers whose lines are never overwritten.
fn once(rows: &[ReadRow]) -> Vec<(String, u64, Value)> {
    let own = rows.iter().filter(|row| row.writer != "run");
    own.map(|row| (row.writer.clone(), row.line, read(row))).collect()
}

/// Puts a file in the place of a folder, so that nothing can be created in it, and returns a
/// function that restores the folder.
fn block(folder: &Path) -> impl FnOnce() + use<> {
    let (folder, aside) = (folder.to_owned(), folder.with_extension("aside"));
    fs::create_dir_all(&folder).unwrap();
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "").unwrap();
    move || {
        fs::remove_file(&folder).unwrap();
        fs::rename(&aside, &folder).unwrap();
    }
}

/// A copy of the log and of the states of tables. Restoring it simulates a process that ended
/// between a commit and the next write.
struct Kept(Vec<(PathBuf, Vec<u8>)>);

impl Kept {
    fn of(folder: &Path) -> Self {
        Self(
            files(folder).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect(),
        )
    }

    fn put_back(self, folder: &Path) {
        for path in files(folder) {
            fs::remove_file(path).unwrap();
        }
        for (path, bytes) in self.0 {
            fs::write(path, bytes).unwrap();
        }
    }
}

/// The files of the log and of the table's state.
fn files(folder: &Path) -> Vec<PathBuf> {
    let log = fs::read_dir(folder.join("log")).unwrap().map(|entry| entry.unwrap().path());
    let own = folder.join("tables/me/shop/requests/_streamtable");
    let states = ["state-0", "state-1"].map(|name| own.join(name));
    log.chain(states.into_iter().filter(|path| path.is_file())).collect()
}
