//! A full disk: acks stop, reads continue, and everything works again once there is space.
//!
//! A file in the place of a folder simulates the full disk: nothing can be created in the folder.

use std::fs;
use std::path::Path;
use std::time::Duration;

use streamtable_store::{Append as _, StoreError};
use streamtable_store_embedded::StoreConfig;

use crate::support::{Folder, batch, lines, log, number};

/// Puts a file in the place of a folder, and returns a function that restores the folder.
fn block(folder: &Path) -> impl FnOnce() + use<> {
    let (folder, aside) = (folder.to_owned(), folder.with_extension("aside"));
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "").unwrap();
    move || {
        fs::remove_file(&folder).unwrap();
        fs::rename(&aside, &folder).unwrap();
    }
}

#[tokio::test]
async fn a_log_that_cannot_grow() {
    let folder = Folder::new();
    // Each batch needs a file of its own.
    let config = StoreConfig { segment_bytes: 1, ..folder.config() };
    let store = folder.open_with(config.clone()).await;
    log(&store, "w", 0..10).await;
    let unblock = block(&folder.path().join("log"));
    for _ in 0..2 {
        let texts = (5..15).map(|n| format!(r#"{{"n":{n},"new":{n}}}"#)).collect();
        let refused = store.append(batch("w", 5, texts)).await;
        assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
        assert_eq!(lines(&store, "w").await, (0..10).collect::<Vec<_>>());
        assert_eq!(number(&store, "select count(*) from requests").await, 10);
    }
    unblock();
    let appended = log(&store, "w", 5..15).await;
    assert_eq!((appended.stored, appended.repeated), (5, 5));
    assert_eq!(lines(&store, "w").await, (0..15).collect::<Vec<_>>());
    drop(store);
    let store = folder.open_with(config).await;
    assert_eq!(lines(&store, "w").await, (0..15).collect::<Vec<_>>());
    assert_eq!(number(&store, "select count(*) from requests").await, 15);
}

#[tokio::test]
async fn rows_that_cannot_come_to_rest() {
    let folder = Folder::new();
    let store = folder.open().await;
    log(&store, "w", 0..10).await;
    store.flush().await.unwrap();
    log(&store, "w", 10..20).await;
    let unblock = block(&folder.path().join("tables/me/shop/requests"));
    assert!(store.flush().await.is_err());
    // The rows are still in memory and in the log, and more can be appended.
    log(&store, "w", 20..25).await;
    unblock();
    assert_eq!(lines(&store, "w").await, (0..25).collect::<Vec<_>>());
    store.flush().await.unwrap();
    drop(store);
    let store = folder.open().await;
    assert_eq!(store.recovery().rows, 0);
    assert_eq!(lines(&store, "w").await, (0..25).collect::<Vec<_>>());
}

/// Files that are no longer needed are deleted, and those that a table needs are kept.
#[tokio::test]
async fn files_that_nobody_needs_are_deleted() {
    let folder = Folder::new();
    let store = folder.open().await;
    log(&store, "w", 0..10).await;
    store.flush().await.unwrap();
    drop(store);
    let kept = folder.files("tables", ".parquet");
    let orphan = kept[0].with_file_name("part-000000000000-000000000010-10-00000000-0.parquet");
    fs::copy(&kept[0], &orphan).unwrap();
    let stranger = kept[0].with_file_name("notes.parquet");
    fs::write(&stranger, "not ours").unwrap();
    let config = StoreConfig { keep_replaced: Duration::ZERO, ..folder.config() };
    let store = folder.open_with(config).await;
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if !orphan.exists() {
            break;
        }
    }
    assert!(!orphan.exists() && stranger.exists() && kept[0].exists());
    assert_eq!(lines(&store, "w").await, (0..10).collect::<Vec<_>>());
}
