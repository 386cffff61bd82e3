//! The suite passes with a correct backend, and finds planted bugs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use streamtable_schema::{ColumnPolicy, Schema, Value};
use streamtable_wire::HistoryLine;

use super::*;
use crate::{Append, AppendError, Appended, OpenError, Upload};

/// A mistake of a backend's author.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bug {
    None,
    /// The rows of an append are stored in reverse.
    Reorder,
    /// The answer is sent before the rows are stored: they are stored with the next call.
    AckEarly,
    /// No unique index on the line number.
    Double,
    /// `open` does not return the columns.
    HideColumns,
    /// An append whose first row is stored counts as stored.
    DropOnRetry,
    /// The line numbers are kept in memory.
    ForgetOnRestart,
    /// The line numbers of different writers are mixed up.
    IgnoreWriter,
    /// All tables are one.
    IgnoreTable,
    /// Rows are written when the instance is dropped.
    WriteOnDrop,
    /// NaN is stored as null, as by JSON.
    NanIsNull,
    /// Rows with the same content count as one.
    DedupeByContent,
    /// A column is of the kind of its first value, and others are converted.
    FirstValueDecides,
    /// Names of columns are compared as by SQL.
    IgnoreCase,
    /// A statement takes this number of rows; later ones are lost.
    FewRows,
    /// A mark that a call is running, which a dropped call leaves behind: the next ones fail.
    BusyAfterDrop,
    /// The same, and the next ones wait.
    HangsAfterDrop,
}

type Key = (Arc<str>, u64);

#[derive(Debug, Default)]
struct Storage {
    rows: BTreeMap<TablePath, Vec<(Key, Row)>>,
    files: BTreeMap<String, Vec<u8>>,
}

#[derive(Debug)]
struct InMemory {
    bug: Bug,
    storage: Arc<Mutex<Storage>>,
    /// The lines that this instance has seen.
    seen: Mutex<Vec<Key>>,
    unwritten: Mutex<Vec<(TablePath, Key, Row)>>,
    is_busy: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl InMemory {
    fn write(&self) {
        let rows = std::mem::take(&mut *locked(&self.unwritten));
        let mut storage = locked(&self.storage);
        for (table, key, row) in rows {
            storage.rows.entry(table).or_default().push((key, row));
        }
    }

    fn is_known(&self, table: &TablePath, key: &Key) -> bool {
        let is_same = |other: &Key| match self.bug {
            Bug::IgnoreWriter => other.1 == key.1,
            _ => other == key,
        };
        match self.bug {
            Bug::Double => false,
            Bug::ForgetOnRestart => locked(&self.seen).iter().any(is_same),
            _ => {
                let is_unwritten = locked(&self.unwritten).iter().any(|(_, key, _)| is_same(key));
                let storage = locked(&self.storage);
                let mut stored = storage.rows.get(table).into_iter().flatten();
                is_unwritten || stored.any(|(key, _)| is_same(key))
            }
        }
    }
}

impl InMemory {
    fn stored(&self, table: &TablePath) -> Vec<Row> {
        let storage = locked(&self.storage);
        storage.rows.get(table).into_iter().flatten().map(|(_, row)| row.clone()).collect()
    }

    /// Returns what is stored of a row.
    fn damaged(&self, table: &TablePath, row: Row, new: &[(TablePath, Key, Row)]) -> Row {
        match self.bug {
            Bug::FirstValueDecides => {
                let mut rows = self.stored(table);
                rows.extend(new.iter().take(100).map(|(_, _, row)| row.clone()));
                let first = |name: &str| rows.iter().find_map(|row| row.get(name).cloned());
                row.into_iter()
                    .map(|(name, value)| match (first(&name), value) {
                        (Some(Value::Int(_)), Value::Float(x)) => (name, Value::Int(x as i128)),
                        (_, value) => (name, value),
                    })
                    .collect()
            }
            Bug::IgnoreCase => {
                let mut stored = Row::new();
                for (name, value) in row {
                    let lower = name.to_lowercase();
                    match stored.get_mut(&lower) {
                        Some(cell) => *cell = value,
                        None => stored.push(lower, value),
                    }
                }
                stored
            }
            _ => row,
        }
    }
}

impl Drop for InMemory {
    fn drop(&mut self) {
        self.write();
    }
}

#[async_trait]
impl Backend for InMemory {
    async fn open(&self, open: Open) -> Result<Opened, OpenError> {
        let table = open.name.to_path()?;
        let mut schema = Schema::new(ColumnPolicy::Evolve);
        let storage = locked(&self.storage);
        for (_, row) in storage.rows.get(&table).into_iter().flatten() {
            schema.admit(row).map_err(OpenError::backend)?;
        }
        match self.bug {
            Bug::HideColumns => Ok(Opened::new(table)),
            _ => Ok(Opened::new(table).with_schema(&schema)),
        }
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if matches!(self.bug, Bug::BusyAfterDrop | Bug::HangsAfterDrop)
            && self.is_busy.swap(true, Ordering::Relaxed)
        {
            return match self.bug {
                Bug::BusyAfterDrop => Err(AppendError::transient("another call is running")),
                _ => std::future::pending().await,
            };
        }
        // A backend that waits, so that calls can be dropped or run at the same time.
        tokio::task::yield_now().await;
        self.is_busy.store(false, Ordering::Relaxed);
        let table = match self.bug {
            Bug::IgnoreTable => "me/shop/all".parse().unwrap(),
            _ => append.table.clone(),
        };
        let mut new = Vec::new();
        for (line, text) in append.rows() {
            let key = (Arc::clone(&append.writer), line);
            if self.is_known(&table, &key) {
                if self.bug == Bug::DropOnRetry {
                    return Ok(Appended::default());
                }
                continue;
            }
            let row = HistoryLine::parse(text).map_err(AppendError::transient)?.row;
            let row = row.into_iter().map(|(name, value)| match value {
                Value::Float(x) if x.is_nan() && self.bug == Bug::NanIsNull => (name, Value::Null),
                value => (name, value),
            });
            let row = self.damaged(&table, row.collect(), &new);
            let is_equal = |(_, _, other): &(TablePath, Key, Row)| *other == row;
            if self.bug == Bug::DedupeByContent
                && (new.iter().any(is_equal) || self.stored(&table).contains(&row))
            {
                continue;
            }
            new.push((table.clone(), key, row));
        }
        if self.bug == Bug::FewRows {
            new.truncate(500);
        }
        if self.bug == Bug::Reorder {
            new.reverse();
        }
        if self.bug == Bug::AckEarly {
            self.write();
        }
        locked(&self.seen).extend(new.iter().map(|(_, key, _)| key.clone()));
        locked(&self.unwritten).extend(new);
        if !matches!(self.bug, Bug::AckEarly | Bug::WriteOnDrop) {
            self.write();
        }
        Ok(Appended::default())
    }

    async fn upload(&self, upload: Upload) -> Result<Appended, AppendError> {
        let mut storage = locked(&self.storage);
        for file in upload.files {
            let path = format!("{}/{}", upload.table, file.path);
            storage.files.insert(path, file.bytes.to_vec());
        }
        Ok(Appended::default())
    }
}

fn suite(bug: Bug) -> Suite {
    let storage: Arc<Mutex<Storage>> = Arc::default();
    let (make, read, files) = (Arc::clone(&storage), Arc::clone(&storage), storage);
    let make = move || {
        let (seen, unwritten, is_busy) = Default::default();
        InMemory { bug, storage: Arc::clone(&make), seen, unwritten, is_busy }
    };
    let read = move |table: TablePath| {
        let table = match bug {
            Bug::IgnoreTable => "me/shop/all".parse().unwrap(),
            _ => table,
        };
        let storage = locked(&read);
        let rows = storage.rows.get(&table).into_iter().flatten();
        let rows: Vec<Row> = rows.map(|(_, row)| row.clone()).collect();
        std::future::ready(Ok::<_, std::io::Error>(rows))
    };
    let files = move |table: TablePath, path: String| {
        let bytes = locked(&files).files.get(&format!("{table}/{path}")).cloned();
        std::future::ready(bytes.ok_or("no such file"))
    };
    Suite::new(make, read).with_media(files)
}

/// Checks that the suite finds a bug, and that one of the failures says so in these words.
#[track_caller]
fn finds(bug: Bug, said: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let suite = suite(bug).time_limit(Duration::from_secs(1));
    let failures = runtime.block_on(suite.run());
    let texts: Vec<String> = failures.iter().map(Failure::to_string).collect();
    assert!(texts.iter().any(|text| text.contains(said)), "{texts:#?}");
}

#[tokio::test]
async fn a_correct_backend_passes() {
    suite(Bug::None).assert_conforms().await;
}

#[test]
fn finds_reordered_rows() {
    finds(Bug::Reorder, "rows are stored in the order 0, 2, 1 instead of 0, 1, 2");
}

#[test]
fn finds_early_answers() {
    finds(Bug::AckEarly, "row 0 is not stored although `append` returned Ok");
}

#[test]
fn finds_rows_that_are_stored_twice() {
    finds(Bug::Double, "a_lost_answer: row 0 was stored twice after a lost answer");
}

#[test]
fn finds_hidden_columns() {
    finds(Bug::HideColumns, r#"`open` does not return the column "n""#);
}

#[test]
fn finds_rows_that_are_dropped_on_a_retry() {
    finds(Bug::DropOnRetry, "row 2 is not stored after a call that failed halfway");
}

#[test]
fn finds_line_numbers_that_are_only_in_memory() {
    finds(Bug::ForgetOnRestart, "row 0 was stored twice after it was sent again by a restarted");
}

#[test]
fn finds_writers_that_are_mixed_up() {
    finds(Bug::IgnoreWriter, "although two writers appended it with the same line numbers");
}

#[test]
fn finds_tables_that_are_mixed_up() {
    finds(Bug::IgnoreTable, "tables_are_separate: ");
}

#[test]
fn finds_rows_that_are_written_when_the_backend_is_dropped() {
    finds(Bug::WriteOnDrop, "row 0 is not stored after a kill");
}

#[test]
fn finds_values_that_are_changed() {
    finds(Bug::NanIsNull, r#"column "x" is read back as null"#);
}

#[test]
fn finds_rows_that_are_told_apart_by_their_content() {
    finds(Bug::DedupeByContent, "1 of 5 rows with the same content are stored");
}

#[test]
fn finds_columns_of_the_kind_of_their_first_value() {
    finds(Bug::FirstValueDecides, r#"column "mixed" is read back as 2 instead of 2.5"#);
}

#[test]
fn finds_columns_whose_case_is_ignored() {
    finds(Bug::IgnoreCase, r#"column "ms" is read back as 2 instead of 1"#);
}

#[test]
fn finds_a_limit_of_the_rows_of_a_call() {
    finds(Bug::FewRows, "a_large_append: row 500 is not stored although `append` of");
}

#[test]
fn finds_calls_that_fail_after_a_dropped_one() {
    finds(
        Bug::BusyAfterDrop,
        "a_call_that_was_dropped: row 3 is not accepted after 30 attempts; the last one failed: \
         another call is running",
    );
}

#[test]
fn finds_calls_that_wait_for_a_dropped_one() {
    finds(
        Bug::HangsAfterDrop,
        "a_call_that_was_dropped: not done within 1s, because a call of the backend does not return",
    );
}

#[test]
fn a_skipped_case_is_not_run() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let suite = suite(Bug::HideColumns).skip("columns_are_known_when_the_table_is_opened_again");
    assert_eq!(runtime.block_on(suite.run()), []);
}
