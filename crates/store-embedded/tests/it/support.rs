//! A store in a folder, and ways to damage it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use futures_util::TryStreamExt as _;
use streamtable_schema::{ColumnPolicy, TablePath, Timestamp};
use streamtable_store::{
    Append as _, Appended, Batch, LineNumber, OnDuplicate, Query as _, Read as _, ReadRow,
    ResultTypes, SqlQuery, StoreError,
};
use streamtable_store_embedded::{EmbeddedStore, StoreConfig};

/// The expected result of a suite: no failures.
pub(crate) const NOTHING: [&str; 0] = [];

/// The folder of a store, which is deleted on drop.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn config(&self) -> StoreConfig {
        StoreConfig::new(self.path())
    }

    pub(crate) async fn open(&self) -> EmbeddedStore {
        self.open_with(self.config()).await
    }

    pub(crate) async fn open_with(&self, config: StoreConfig) -> EmbeddedStore {
        self.try_open(config).await.unwrap()
    }

    pub(crate) async fn try_open(&self, config: StoreConfig) -> Result<EmbeddedStore, StoreError> {
        // A store that was dropped just before may not have released its lock yet.
        for _ in 0..200 {
            match EmbeddedStore::open(config.clone()).await {
                Err(StoreError::Io { reason }) if reason.contains("another process owns") => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                opened => return opened,
            }
        }
        panic!("the folder stays owned");
    }

    /// Returns the files below a folder whose names end in `ending`, in order.
    pub(crate) fn files(&self, below: &str, ending: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.path().join(below)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.to_str().unwrap().ends_with(ending) {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }
}

/// A copy of files below a folder, to be restored later.
pub(crate) struct Kept(Vec<(PathBuf, Vec<u8>)>);

impl Kept {
    /// Copies the log and the states of tables.
    pub(crate) fn of(folder: &Folder) -> Self {
        let paths = Self::paths(folder);
        Self(paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect())
    }

    fn paths(folder: &Folder) -> Vec<PathBuf> {
        let states = ["state-0", "state-1"].map(|name| folder.files("tables", name));
        folder.files("log", "").into_iter().chain(states.into_iter().flatten()).collect()
    }

    /// Restores the copy, as if a process had ended between a commit and the next write.
    pub(crate) fn put_back(self, folder: &Folder) {
        for path in Self::paths(folder) {
            fs::remove_file(path).unwrap();
        }
        for (path, bytes) in self.0 {
            fs::write(path, bytes).unwrap();
        }
    }
}

pub(crate) fn table() -> TablePath {
    "me/shop/requests".parse().unwrap()
}

pub(crate) fn batch(writer: &str, first_line: u64, lines: Vec<String>) -> Batch {
    Batch {
        table: table(),
        writer: writer.to_owned(),
        first_line: LineNumber::new(first_line).unwrap(),
        lines: lines.into_iter().map(Into::into).collect(),
        on_duplicate: OnDuplicate::Ignore,
        columns: ColumnPolicy::Evolve,
        received_at: Timestamp::from_millis(1_700_000_000_000),
    }
}

/// Appends rows `{"n": …}` with the line numbers of a range.
pub(crate) async fn log(
    store: &EmbeddedStore,
    writer: &str,
    lines: std::ops::Range<u64>,
) -> Appended {
    let texts = lines.clone().map(|n| format!(r#"{{"n":{n},"text":"row {n}"}}"#)).collect();
    store.append(batch(writer, lines.start, texts)).await.unwrap()
}

/// Reads all rows, page by page.
pub(crate) async fn rows(store: &EmbeddedStore) -> Vec<ReadRow> {
    let mut all: Vec<ReadRow> = Vec::new();
    loop {
        let from = all.last().map_or(0, |row| row.position + 1);
        let page = store.read(&table(), from, 100).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// Returns the lines of one writer, in the table's order.
pub(crate) async fn lines(store: &EmbeddedStore, writer: &str) -> Vec<u64> {
    let rows = rows(store).await;
    rows.into_iter().filter(|row| row.writer == writer).map(|row| row.line).collect()
}

/// Answers a query.
pub(crate) async fn ask(store: &EmbeddedStore, sql: &str) -> Vec<RecordBatch> {
    let query = SqlQuery {
        sql: sql.to_owned(),
        home: Some(("me".to_owned(), "shop".to_owned())),
        entities: None,
        timeout: Duration::from_secs(30),
        positions: false,
        types: ResultTypes::Flat,
        owner: None,
    };
    store.query(query).await.unwrap().batches.try_collect().await.unwrap()
}

/// Answers a query whose result is one number.
pub(crate) async fn number(store: &EmbeddedStore, sql: &str) -> i64 {
    ask(store, sql).await[0].column(0).as_primitive::<Int64Type>().value(0)
}
