//! Recovery from a process that ends at a bad moment. Random schedules of such crashes are in
//! `src/schedules`.

use streamtable_store::{Append as _, Read as _, Store as _};
use streamtable_store_embedded::{EmbeddedStore, StoreConfig};

use crate::support::{Folder, Kept, batch, lines, log, number, rows, table};

#[tokio::test]
async fn rows_in_the_log_come_back() {
    let folder = Folder::new();
    let store = folder.open().await;
    log(&store, "w", 0..10).await;
    drop(store);
    let store = folder.open().await;
    assert_eq!(store.recovery().rows, 10);
    assert_eq!(lines(&store, "w").await, (0..10).collect::<Vec<_>>());
    // Lines that were stored before are recognized.
    assert_eq!(log(&store, "w", 5..12).await.stored, 2);
    assert_eq!(store.next_line(&table(), "w").await.unwrap(), 12);
    assert_eq!(number(&store, "select count(*) from requests").await, 12);
}

#[tokio::test]
async fn flushed_rows_come_back() {
    let folder = Folder::new();
    let store = folder.open().await;
    log(&store, "w", 0..10).await;
    store.close().await.unwrap();
    drop(store);
    let store = folder.open().await;
    assert_eq!(store.recovery().rows, 0);
    assert_eq!(log(&store, "w", 0..11).await.repeated, 10);
    assert_eq!(lines(&store, "w").await, (0..11).collect::<Vec<_>>());
    assert_eq!(number(&store, "select sum(n) from requests").await, 55);
    let info = store.table(&table()).await.unwrap().unwrap();
    assert_eq!((info.summary.rows, info.end, info.columns.len()), (11, 11, 2));
    assert_eq!(folder.files("tables", ".parquet").len(), 1);
}

/// The process ends after a commit and before the state is written.
#[tokio::test]
async fn a_commit_that_was_not_told_is_found() {
    let folder = Folder::new();
    let store = folder.open().await;
    log(&store, "w", 0..10).await;
    store.flush().await.unwrap();
    log(&store, "w", 10..20).await;
    let kept = Kept::of(&folder);
    store.flush().await.unwrap();
    drop(store);
    kept.put_back(&folder);
    let store = folder.open().await;
    assert_eq!(store.recovery().rows, 0);
    log(&store, "w", 15..25).await;
    store.flush().await.unwrap();
    assert_eq!(lines(&store, "w").await, (0..25).collect::<Vec<_>>());
    assert_eq!(number(&store, "select count(*) from requests").await, 25);
}

/// The same for the very first commit, when there is no state yet.
#[tokio::test]
async fn a_first_commit_that_was_not_told_is_found() {
    let folder = Folder::new();
    let store = folder.open().await;
    log(&store, "w", 0..10).await;
    let mixed = vec![r#"{"n":"ten","other":[1]}"#.to_owned()];
    store.append(batch("w", 10, mixed)).await.unwrap();
    let before = (rows(&store).await, store.table(&table()).await.unwrap().unwrap().columns);
    let kept = Kept::of(&folder);
    store.flush().await.unwrap();
    drop(store);
    kept.put_back(&folder);
    let store = folder.open().await;
    assert_eq!(log(&store, "w", 0..11).await.repeated, 11);
    let columns = store.table(&table()).await.unwrap().unwrap().columns;
    let types = |columns: &[streamtable_store::ColumnInfo]| {
        columns.iter().map(|it| (it.name.clone(), it.ty.clone())).collect::<Vec<_>>()
    };
    assert_eq!(types(&columns), types(&before.1));
    assert_eq!(rows(&store).await, before.0);
}

#[tokio::test]
async fn one_process_owns_a_folder() {
    let folder = Folder::new();
    let store = folder.open().await;
    let config = StoreConfig::new(folder.path());
    let error = EmbeddedStore::open(config).await.unwrap_err();
    assert!(error.to_string().contains("another process owns"), "{error}");
    drop(store);
    folder.open().await;
}
