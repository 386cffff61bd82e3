//! Bytes that change on disk are found, set aside and reported; everything else is served.

use std::fs;

use streamtable_store::Read as _;

use crate::support::{Folder, lines, log, number, table};

#[tokio::test]
async fn a_damaged_frame_is_set_aside() {
    let folder = Folder::new();
    let store = folder.open().await;
    for first in [0, 10, 20] {
        log(&store, "w", first..first + 10).await;
    }
    drop(store);
    let path = &folder.files("log", ".log")[0];
    let mut bytes = fs::read(path).unwrap();
    let row = bytes.windows(6).position(|it| it == b"row 15").unwrap();
    bytes[row] ^= 1;
    fs::write(path, bytes).unwrap();
    let store = folder.open().await;
    assert_eq!(store.recovery().damaged.len(), 1);
    assert!(store.recovery().damaged[0].starts_with(folder.path().canonicalize().unwrap()));
    let expected: Vec<u64> = (0..10).chain(20..30).collect();
    assert_eq!(lines(&store, "w").await, expected);
    assert_eq!(number(&store, "select count(*) from requests").await, 20);
    assert_eq!(store.table(&table()).await.unwrap().unwrap().summary.rows, 20);
    // Clients that still have the rows can send them again.
    assert_eq!(log(&store, "w", 0..30).await.stored, 10);
}

#[tokio::test]
async fn a_write_that_was_cut_off_is_cut() {
    let folder = Folder::new();
    let store = folder.open().await;
    log(&store, "w", 0..10).await;
    log(&store, "w", 10..20).await;
    drop(store);
    let path = &folder.files("log", ".log")[0];
    let mut bytes = fs::read(path).unwrap();
    let row = bytes.windows(6).position(|it| it == b"row 15").unwrap();
    bytes.truncate(row);
    fs::write(path, bytes).unwrap();
    let store = folder.open().await;
    assert_eq!((store.recovery().torn, store.recovery().damaged.len()), (1, 0));
    assert_eq!(lines(&store, "w").await, (0..10).collect::<Vec<_>>());
    assert_eq!(log(&store, "w", 10..20).await.stored, 10);
    drop(store);
    let store = folder.open().await;
    assert_eq!(lines(&store, "w").await, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_damaged_file_is_set_aside() {
    let folder = Folder::new();
    let store = folder.open().await;
    for first in [0, 10, 20] {
        log(&store, "w", first..first + 10).await;
        store.flush().await.unwrap();
    }
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
    let path = &folder.files("tables", ".parquet")[1];
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(store.verify().await.unwrap(), [name]);
    let expected: Vec<u64> = (0..10).chain(20..30).collect();
    assert_eq!(lines(&store, "w").await, expected);
    assert_eq!(number(&store, "select count(*) from requests").await, 20);
    assert_eq!(store.table(&table()).await.unwrap().unwrap().summary.rows, 20);
    drop(store);
    let store = folder.open().await;
    assert_eq!(lines(&store, "w").await, expected);
}

/// Many small files are compacted into a few, with the same rows.
#[tokio::test]
async fn small_files_are_put_together() {
    let folder = Folder::new();
    let store = folder.open().await;
    for first in 0..20 {
        log(&store, "w", first * 10..first * 10 + 10).await;
        store.flush().await.unwrap();
    }
    let info = number(&store, "select count(*) from requests").await;
    assert_eq!(info, 200);
    assert_eq!(lines(&store, "w").await, (0..200).collect::<Vec<_>>());
    let listed = folder.files("tables", ".parquet").len();
    drop(store);
    let store = folder.open().await;
    assert_eq!(lines(&store, "w").await, (0..200).collect::<Vec<_>>());
    // Replaced files are kept for a while for readers that have them open.
    assert!(listed > 20, "{listed} files");
}
