//! Tables in the buckets of object stores that `cargo xtask clients` installs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::aws::AmazonS3Builder;
use object_store::{BackoffConfig, RetryConfig};
use streamtable_store::{Read as _, Store as _, StoreError, conformance};
use streamtable_store_embedded::{StoreConfig, TablesPlace};

use crate::object_stores::{KEY_ID, SECRET, Server};
use crate::support::{Folder, NOTHING, lines, log, number, table};

/// How long SeaweedFS may take to answer again after it was killed.
const RECOVERY: Duration = Duration::from_secs(120);

fn config(folder: &Folder, server: &Server) -> StoreConfig {
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(1), ..BackoffConfig::default() };
    let retries = RetryConfig { backoff, max_retries: 3, ..RetryConfig::default() };
    let objects = AmazonS3Builder::new()
        .with_endpoint(server.url())
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_access_key_id(KEY_ID)
        .with_secret_access_key(SECRET)
        .with_bucket_name("bucket")
        .with_retry(retries)
        .build();
    let url = "s3://bucket/some/prefix".parse().unwrap();
    let place = TablesPlace::with_objects(url, Arc::new(objects.unwrap())).unwrap();
    StoreConfig { tables: Some(place), ..folder.config() }
}

async fn check_conformance(server: &Server) {
    let folder = Folder::new();
    let store = folder.open_with(config(&folder, server)).await;
    assert_eq!(conformance::run_all(&store, "fresh").await, NOTHING);
    store.flush().await.unwrap();
    assert_eq!(conformance::run_all(&store, "flushed").await, NOTHING);
    log(&store, "a", 0..100).await;
    store.flush().await.unwrap();
    log(&store, "a", 100..150).await;
    // As if the process was killed.
    drop(store);
    let store = folder.open_with(config(&folder, server)).await;
    assert_eq!(lines(&store, "a").await, (0..150).collect::<Vec<_>>());
    assert_eq!(number(&store, "select count(*) from requests").await, 150);
    assert_eq!(log(&store, "a", 0..150).await.repeated, 150);
    assert_eq!(store.verify().await.unwrap(), NOTHING);
    assert_eq!(store.health().await, Default::default());
    assert!(folder.files("tables", "").is_empty());
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs SeaweedFS; run `cargo xtask clients`"]
async fn seaweedfs_has_tables() {
    check_conformance(&Server::seaweedfs()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs moto; run `cargo xtask clients`"]
async fn moto_has_tables() {
    check_conformance(&Server::moto()).await;
}

/// Rows are acked while SeaweedFS is killed twice; afterwards each is stored once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs SeaweedFS; run `cargo xtask clients`"]
async fn rows_are_acked_while_seaweedfs_is_away() {
    const BATCHES: u64 = 20;
    let mut server = Server::seaweedfs();
    let folder = Folder::new();
    let store = folder.open_with(config(&folder, &server)).await;
    let mut acked = 0;
    for round in 0..2 {
        for _ in 0..BATCHES {
            assert_eq!(log(&store, "a", acked..acked + 10).await.stored, 10);
            acked += 10;
        }
        store.flush().await.unwrap();
        // In the middle of a flush.
        log(&store, "a", acked..acked + 10).await;
        acked += 10;
        let (flushed, ()) = tokio::join!(store.flush(), async {
            tokio::time::sleep(Duration::from_millis(20 * round)).await;
            server.kill();
        });
        drop(flushed);
        for _ in 0..BATCHES {
            assert_eq!(log(&store, "a", acked..acked + 10).await.stored, 10);
            acked += 10;
        }
        let failed = store.flush().await.unwrap_err().to_string();
        assert!(failed.contains("no answer from http://127.0.0.1"), "{failed}");
        let unread = store.read(&table(), 0, 10).await.unwrap_err();
        assert!(matches!(unread, StoreError::Unreachable { .. }), "{unread:?}");
        assert!(unread.to_string().contains("no answer from http://127.0.0.1"), "{unread}");
        server.start();
        let start = Instant::now();
        while let Err(error) = store.flush().await {
            assert!(start.elapsed() < RECOVERY, "{error}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert_eq!(lines(&store, "a").await, (0..acked).collect::<Vec<_>>());
    }
    assert_eq!(store.verify().await.unwrap(), NOTHING);
    drop(store);
    let store = folder.open_with(config(&folder, &server)).await;
    assert_eq!(lines(&store, "a").await, (0..acked).collect::<Vec<_>>());
    assert_eq!(number(&store, "select count(*) from requests").await, acked as i64);
    assert_eq!(store.health().await, Default::default());
}
