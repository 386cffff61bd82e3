//! A table that cannot be flushed does not stop others, and a missing part of the log is noticed.

use std::fs;
use std::path::Path;

use streamtable_schema::TablePath;
use streamtable_store::{Append as _, Batch, ProblemKind, Read as _, Store as _, StoreError};
use streamtable_store_embedded::{EmbeddedStore, StoreConfig};

use crate::support::{Folder, NOTHING, batch, lines, log, number};

fn path(table: &str) -> TablePath {
    table.parse().unwrap()
}

async fn try_append(
    store: &EmbeddedStore,
    table: &TablePath,
    line: u64,
) -> Result<u64, StoreError> {
    let rows = vec![format!(r#"{{"n":{line},"text":"{}"}}"#, "x".repeat(1000))];
    let batch = Batch { table: table.clone(), ..batch("w", line, rows) };
    Ok(store.append(batch).await?.stored)
}

async fn append(store: &EmbeddedStore, table: &TablePath, line: u64) {
    assert_eq!(try_append(store, table, line).await.unwrap(), 1);
}

async fn count(store: &EmbeddedStore, table: &TablePath) -> usize {
    store.read(table, 0, 100_000).await.unwrap().len()
}

/// Returns the kinds of problems of a table.
async fn kinds(store: &EmbeddedStore, table: &TablePath) -> Vec<ProblemKind> {
    let summary = store.table(table).await.unwrap().unwrap().summary;
    summary.problems.into_iter().map(|problem| problem.kind).collect()
}

fn parquet_files(folder: &Folder, table: &str) -> usize {
    folder.files(&format!("tables/{table}"), ".parquet").len()
}

fn log_bytes(folder: &Folder) -> u64 {
    folder.files("log", ".log").iter().map(|path| fs::metadata(path).unwrap().len()).sum()
}

/// Puts a file in the place of a folder that does not exist yet.
fn block(folder: &Path) {
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    fs::write(folder, "").unwrap();
}

#[tokio::test]
async fn a_table_that_cannot_be_flushed_stops_no_other() {
    let folder = Folder::new();
    let store = folder.open().await;
    let [first, bad, last] = ["me/p/a", "me/p/b", "me/p/c"].map(path);
    let place = folder.path().join("tables/me/p/b");
    block(&place);
    for round in 0..5 {
        for table in [&first, &bad, &last] {
            append(&store, table, round).await;
        }
        let error = store.flush().await.unwrap_err().to_string();
        assert!(error.contains("1 of 3 tables cannot be flushed: me/p/b"), "{error}");
        assert_eq!(parquet_files(&folder, "me/p/a"), round as usize + 1);
        assert_eq!(parquet_files(&folder, "me/p/c"), round as usize + 1);
    }
    assert_eq!(kinds(&store, &bad).await, [ProblemKind::NotFlushed]);
    assert_eq!(kinds(&store, &first).await, []);
    assert_eq!(store.health().await.tables.len(), 1);
    // Closed files of the log are as long as their frames.
    assert!(log_bytes(&folder) < 1 << 20, "{} bytes", log_bytes(&folder));
    store.close().await.unwrap();
    drop(store);

    let store = folder.open().await;
    assert_eq!(store.recovery().rows, 5, "only the rows of one table are in the log");
    fs::remove_file(place).unwrap();
    store.flush().await.unwrap();
    for table in [&first, &bad, &last] {
        assert_eq!(count(&store, table).await, 5);
        assert_eq!(kinds(&store, table).await, []);
    }
    assert_eq!(folder.files("log", ".log").len(), 0);
}

#[tokio::test]
async fn tables_that_cannot_be_flushed_leave_room_for_others() {
    let folder = Folder::new();
    let config = StoreConfig { memtable_bytes: 1 << 20, ..folder.config() };
    let store = folder.open_with(config.clone()).await;
    let [bad, good] = ["me/p/bad", "me/p/good"].map(path);
    block(&folder.path().join("tables/me/p/bad"));
    append(&store, &bad, 0).await;
    assert!(store.flush().await.is_err());
    let mut line = 1;
    let refused = loop {
        match try_append(&store, &bad, line).await {
            Ok(_) => line += 1,
            Err(error) => break error,
        }
        assert!(line < 10_000, "nothing is refused");
    };
    assert!(refused.is_retryable(), "{refused}");
    assert!(refused.to_string().contains("the table cannot be flushed"), "{refused}");
    for line in 0..2000 {
        append(&store, &good, line).await;
        assert!(store.memtable_bytes() <= config.memtable_bytes + (1 << 16));
    }
    assert_eq!(count(&store, &bad).await, line as usize);
    assert_eq!(count(&store, &good).await, 2000);
}

#[tokio::test]
async fn a_damaged_delta_log_is_written_again() {
    let folder = Folder::new();
    let store = folder.open().await;
    let [bad, good] = ["me/p/a", "me/p/b"].map(path);
    for table in [&bad, &good] {
        append(&store, table, 0).await;
    }
    store.close().await.unwrap();
    drop(store);
    let commit = folder.path().join("tables/me/p/a/_delta_log/00000000000000000000.json");
    let mut bytes = fs::read(&commit).unwrap();
    bytes[40] ^= 4;
    fs::write(commit, bytes).unwrap();
    let store = folder.open().await;
    for table in [&bad, &good] {
        append(&store, table, 1).await;
    }
    store.flush().await.unwrap();
    assert_eq!(kinds(&store, &good).await, []);
    for _ in 0..2 {
        // The damage is remembered, and the new log is right.
        assert!(!kinds(&store, &bad).await.is_empty());
        assert_eq!(store.verify().await.unwrap(), NOTHING);
        assert_eq!(count(&store, &bad).await, 2);
    }
    store.close().await.unwrap();
    drop(store);
    let store = folder.open().await;
    assert_eq!(count(&store, &bad).await, 2);
    assert_eq!(kinds(&store, &bad).await.len(), 1);
}

#[tokio::test]
async fn names_of_any_length_are_flushed() {
    let folder = Folder::new();
    let store = folder.open().await;
    let long = TablePath::new("aa", &"漢".repeat(100), "t").unwrap();
    let other = path("zz/p/t");
    for table in [&long, &other] {
        append(&store, table, 0).await;
    }
    store.close().await.unwrap();
    drop(store);
    let store = folder.open().await;
    assert_eq!(store.recovery().rows, 0);
    for table in [&long, &other] {
        assert_eq!(count(&store, table).await, 1);
    }
}

#[tokio::test]
async fn a_stop_flushes_the_largest_tables_only() {
    let folder = Folder::new();
    let store = folder.open().await;
    let tables: Vec<TablePath> = (0..200).map(|n| path(&format!("me/p/t{n}"))).collect();
    for table in &tables {
        append(&store, table, 0).await;
    }
    for line in 1..5 {
        append(&store, &tables[150], line).await;
    }
    store.close().await.unwrap();
    drop(store);
    assert_eq!(folder.files("tables", ".parquet").len(), 128);
    assert_eq!(parquet_files(&folder, "me/p/t150"), 1);
    let store = folder.open().await;
    assert_eq!(store.recovery().rows, 72);
    for (n, table) in tables.iter().enumerate() {
        assert_eq!(count(&store, table).await, if n == 150 { 5 } else { 1 });
    }
}

#[tokio::test]
async fn a_missing_part_of_the_log_is_reported() {
    for missing in 0..4 {
        let folder = Folder::new();
        for line in 0..4 {
            // Each start creates a new file.
            let store = folder.open().await;
            append(&store, &path("me/shop/requests"), line).await;
        }
        let store = folder.open().await;
        assert_eq!((store.recovery().missing, store.health().await.is_ok()), (0, true));
        drop(store);
        fs::remove_file(&folder.files("log", ".log")[missing]).unwrap();
        let store = folder.open().await;
        assert_eq!(store.recovery().missing, 1);
        assert_eq!(store.health().await.store[0].kind, ProblemKind::LogIncomplete);
        let expected: Vec<u64> = (0..4).filter(|&line| line != missing as u64).collect();
        assert_eq!(lines(&store, "w").await, expected);
        // New rows do not reuse the numbers of the missing ones.
        append(&store, &path("me/shop/requests"), 9).await;
        store.close().await.unwrap();
        drop(store);
        let store = folder.open().await;
        assert_eq!(store.recovery().missing, 0);
        assert_eq!(lines(&store, "w").await.len(), 4);
    }
}

/// Copies files below a folder whose names pass a filter.
fn copy(from: &Path, to: &Path, is_wanted: &dyn Fn(&Path) -> bool) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&path, &target, is_wanted);
        } else if is_wanted(&path) {
            fs::copy(&path, target).unwrap();
        }
    }
}

/// The documented order of copying a running store: the log, the tables' metadata, the rows.
/// Whatever is flushed between the steps, no row that was acked before the copy is lost.
#[tokio::test]
async fn a_copy_of_a_running_store_has_all_rows() {
    let folder = Folder::new();
    let store = folder.open().await;
    log(&store, "w", 0..100).await;
    store.flush().await.unwrap();
    log(&store, "w", 100..200).await;
    let backup = Folder::new();
    let (from, to) = (folder.path(), backup.path());
    for name in ["log", "tables"] {
        fs::create_dir_all(to.join(name)).unwrap();
    }
    copy(&from.join("log"), &to.join("log"), &|_| true);
    log(&store, "w", 200..300).await;
    store.flush().await.unwrap();
    let is_rows = |path: &Path| path.extension().is_some_and(|it| it == "parquet");
    copy(&from.join("tables"), &to.join("tables"), &|path| !is_rows(path));
    log(&store, "w", 300..400).await;
    store.flush().await.unwrap();
    copy(&from.join("tables"), &to.join("tables"), &is_rows);
    drop(store);
    let store = backup.open().await;
    let found = lines(&store, "w").await;
    assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>());
    assert!(found.len() >= 200, "{} rows", found.len());
    assert_eq!(number(&store, "select count(*) from requests").await, found.len() as i64);
    assert_eq!(store.verify().await.unwrap(), NOTHING);
}

/// In the wrong order rows are missing, and the gap is reported.
#[tokio::test]
async fn a_copy_in_the_wrong_order_is_reported() {
    let folder = Folder::new();
    let store = folder.open().await;
    log(&store, "w", 0..100).await;
    store.flush().await.unwrap();
    log(&store, "w", 100..200).await;
    let backup = Folder::new();
    for name in ["log", "tables"] {
        fs::create_dir_all(backup.path().join(name)).unwrap();
    }
    copy(&folder.path().join("tables"), &backup.path().join("tables"), &|_| true);
    store.flush().await.unwrap();
    log(&store, "w", 200..300).await;
    copy(&folder.path().join("log"), &backup.path().join("log"), &|_| true);
    drop(store);
    let store = backup.open().await;
    assert_eq!(lines(&store, "w").await.len(), 200);
    assert!(!store.health().await.is_ok(), "rows are missing and nothing is reported");
}
