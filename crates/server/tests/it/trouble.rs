//! A client whose server fails: no row is lost or duplicated, and all are in order.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use streamtable::spool::SpoolConfig;
use streamtable::{Builder, FlushFailure, RetryPolicy, StopReason, StreamTable, row};
use streamtable_schema::Value;
use streamtable_server::{Right, Server, ServerConfig, WandbConfig};
use streamtable_store::Store;
use streamtable_store_embedded::{EmbeddedStore, LocalFiles, StoreConfig};
use streamtable_transport_hyper::HyperTransport;

use crate::support::Running;

const TABLE: &str = "me/shop/requests";

fn builder(url: &str, key: &str) -> Builder {
    StreamTable::builder(TABLE)
        .base_url(url)
        .api_key(key)
        .transport(HyperTransport::new().unwrap())
        .no_spool()
        .retry(RetryPolicy {
            first_delay: Duration::from_millis(5),
            max_delay: Duration::from_millis(50),
        })
        .print_url(false)
}

async fn log(table: &StreamTable, numbers: std::ops::Range<u64>) {
    table.log(numbers.map(|n| row! { "n" => n })).await.unwrap();
}

/// Returns the numbers of all rows, in table order.
async fn numbers(store: &dyn Store) -> Vec<Value> {
    let (mut numbers, mut from) = (Vec::new(), 0);
    loop {
        let page = store.read(&TABLE.parse().unwrap(), from, 1000).await.unwrap();
        let Some(last) = page.last() else { return numbers };
        from = last.position + 1;
        numbers.extend(page.into_iter().map(|row| row.row.get("n").cloned().unwrap()));
    }
}

/// Stops the server and returns its rows.
async fn stored(server: &mut Running) -> Vec<Value> {
    server.stop().await;
    let folder = server.folder.path().join("store");
    let store = EmbeddedStore::open(StoreConfig::new(folder)).await.unwrap();
    let numbers = numbers(&store).await;
    store.close().await.unwrap();
    numbers
}

fn up_to(rows: u64) -> Vec<Value> {
    (0..rows).map(Value::from).collect()
}

/// A file in place of the log's folder simulates a full disk: no file can be created there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_survive_a_full_server_disk() {
    let folder = tempfile::tempdir().unwrap();
    let config = ServerConfig {
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        data_dir: folder.path().to_owned(),
        ..ServerConfig::default()
    };
    // Each group of rows gets its own segment file.
    let store = StoreConfig { segment_bytes: 1, ..StoreConfig::new(folder.path().join("store")) };
    let store = Arc::new(EmbeddedStore::open(store).await.unwrap());
    let files = Arc::new(LocalFiles::open(folder.path().join("files")).unwrap());
    let server = Server::with_parts(config, Arc::clone(&store) as _, files).await.unwrap();
    let (url, key) = (server.local_url(), server.first_key().unwrap().secret.clone());
    let serving = tokio::spawn(server.run(std::future::pending()));

    let table = builder(&url, &key).open().await.unwrap();
    log(&table, 0..100).await;
    table.flush(Duration::from_secs(20)).await.unwrap();
    let (logs, aside) = (folder.path().join("store/log"), folder.path().join("store/aside"));
    std::fs::rename(&logs, &aside).unwrap();
    std::fs::write(&logs, "").unwrap();
    log(&table, 100..200).await;
    let late = table.flush(Duration::from_millis(500)).await.unwrap_err();
    assert!(
        matches!(&late.reason, FlushFailure::Timeout { last_error: Some(e), .. } if e.contains("503")),
        "{late}"
    );
    assert_eq!((late.stats.acked, late.stats.pending), (100, 100));
    assert_eq!(numbers(&*store).await, up_to(100));

    std::fs::remove_file(&logs).unwrap();
    std::fs::rename(&aside, &logs).unwrap();
    log(&table, 200..300).await;
    assert_eq!(table.finish().await.unwrap().acked, 300);
    assert_eq!(numbers(&*store).await, up_to(300));
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn posts_that_are_too_large_are_halved() {
    let wandb = WandbConfig { max_lines: 50, max_body_bytes: 2000, ..WandbConfig::default() };
    let mut server = Running::start_with(|config| config.wandb = wandb.clone()).await;
    let table = builder(&server.url, &server.key).open().await.unwrap();
    log(&table, 0..1000).await;
    assert_eq!(table.finish().await.unwrap().acked, 1000);
    assert_eq!(stored(&mut server).await, up_to(1000));
}

/// Rows wait while the key is rejected, and are delivered when the table is opened with another
/// key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_revoked_and_replaced() {
    let mut server = Running::start().await;
    let spool = tempfile::tempdir().unwrap();
    let open = async |key: &str| {
        let config = SpoolConfig { dir: Some(spool.path().to_owned()), ..SpoolConfig::default() };
        builder(&server.url, key).spool(config).open().await.unwrap()
    };
    let key = server.catalog().add_key("old", Some("me"), Right::Write).await.unwrap();
    let table = open(&key.secret).await;
    log(&table, 0..100).await;
    table.flush(Duration::from_secs(20)).await.unwrap();
    assert!(server.catalog().revoke_key(&key.key.id).await.unwrap());
    log(&table, 100..200).await;
    let stopped = table.finish().await.unwrap_err();
    let is_unauthorized =
        matches!(stopped.reason, FlushFailure::Stopped(StopReason::Unauthorized { .. }));
    assert!(is_unauthorized, "{stopped}");
    assert_eq!((stopped.stats.acked, stopped.stats.pending), (100, 100));
    drop(table);

    let key = server.catalog().add_key("new", Some("me"), Right::Write).await.unwrap();
    // The stopped table may not have released its rows yet.
    let mut recovered = 0;
    for _ in 0..100 {
        let next = open(&key.secret).await;
        recovered += next.finish().await.unwrap().recovered.acked;
        if recovered > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(recovered, 100);
    assert_eq!(stored(&mut server).await, up_to(200));
}
