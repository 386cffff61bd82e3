//! Kills a server process at random moments under load: no acked row is lost or duplicated, and the
//! rows of each writer stay in order.
//!
//! `STREAMTABLE_KILLS` sets the number of kills; the default is 20.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use streamtable::{BatchLimits, RetryPolicy, StreamTable, row};
use streamtable_server::{Catalog, Right, Server, ServerConfig};
use streamtable_store::{Read as _, Store as _};
use streamtable_store_embedded::{EmbeddedStore, LocalFiles, StoreConfig};
use streamtable_transport_hyper::HyperTransport;
use tokio::process::{Child, Command};

/// Environment variable that passes the port and the folder to the child.
const CHILD: &str = "STREAMTABLE_KILLS_CHILD";

/// Flushes often, so that some kills happen during a flush.
fn store_config(folder: &Path) -> StoreConfig {
    StoreConfig {
        segment_bytes: 256 << 10,
        flush_interval: Duration::from_millis(50),
        keep_replaced: Duration::ZERO,
        ..StoreConfig::new(folder.join("store"))
    }
}

/// The server process; the test below starts and kills it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a_killed_server_loses_no_acked_rows starts it as a separate process"]
async fn child() {
    let Ok(argument) = std::env::var(CHILD) else { return };
    let (port, folder) = argument.split_once(' ').unwrap();
    let folder = Path::new(folder);
    let config = ServerConfig {
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().unwrap())),
        data_dir: folder.to_owned(),
        ..ServerConfig::default()
    };
    let store = EmbeddedStore::open(store_config(folder)).await.unwrap();
    let files = LocalFiles::open(folder.join("files")).unwrap();
    let server = Server::with_parts(config, Arc::new(store), Arc::new(files)).await.unwrap();
    server.run(std::future::pending()).await.unwrap();
}

fn spawn(folder: &Path, port: u16) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::child", "--ignored", "--nocapture"])
        .env(CHILD, format!("{port} {}", folder.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn wait_until_up(port: u16) {
    for _ in 0..1000 {
        if tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the server did not start");
}

/// Logs rows until `stop` is set. Returns the writer and the number of rows that the server has
/// acked.
async fn write(port: u16, key: String, stop: Arc<AtomicBool>) -> (String, u64) {
    let table = StreamTable::builder("me/kills/rows")
        .base_url(&format!("http://127.0.0.1:{port}"))
        .api_key(&key)
        .transport(HyperTransport::new().unwrap())
        .no_spool()
        .retry(RetryPolicy {
            first_delay: Duration::from_millis(5),
            max_delay: Duration::from_millis(50),
        })
        .limits(BatchLimits { linger: Duration::from_millis(1), ..BatchLimits::default() })
        .finish_idle_timeout(Duration::from_secs(60))
        .print_url(false)
        .open()
        .await
        .unwrap();
    let mut n = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..20 {
            table.log(row! { "n" => n, "text" => format!("row {n}") }).await.unwrap();
            n += 1;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let stats = table.finish().await.unwrap();
    assert_eq!((stats.logged, stats.acked), (n, n));
    (table.writer().to_owned(), n)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "shows how many rows a long run has tested")]
async fn a_killed_server_loses_no_acked_rows() {
    let kills: u32 = std::env::var("STREAMTABLE_KILLS").map_or(20, |it| it.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db")).unwrap();
    let key = catalog.add_key("test", None, Right::Admin).await.unwrap().secret;
    drop(catalog);
    let port = {
        let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        free.local_addr().unwrap().port()
    };
    let mut child = spawn(folder.path(), port);
    wait_until_up(port).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        (0..3).map(|_| tokio::spawn(write(port, key.clone(), Arc::clone(&stop)))).collect();
    // Any pseudorandom sequence is sufficient.
    let mut random = u64::from(std::process::id()) | 1;
    for _ in 0..kills {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        tokio::time::sleep(Duration::from_millis(20 + (random >> 33) % 250)).await;
        child.kill().await.unwrap();
        child = spawn(folder.path(), port);
        wait_until_up(port).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut expected = Vec::new();
    for writer in writers {
        expected.push(writer.await.unwrap());
    }
    child.kill().await.unwrap();

    // Keep files that are replaced while the rows are read in pages.
    let kept =
        StoreConfig { keep_replaced: Duration::from_secs(3600), ..store_config(folder.path()) };
    let store = EmbeddedStore::open(kept).await.unwrap();
    assert_eq!(store.recovery().damaged, Vec::<std::path::PathBuf>::new());
    let (table, mut rows, mut from) = ("me/kills/rows".parse().unwrap(), Vec::new(), 0);
    loop {
        let page = store.read(&table, from, 10_000).await.unwrap();
        let Some(last) = page.last() else { break };
        from = last.position + 1;
        rows.extend(page.into_iter().map(|row| (row.writer, row.row.get("n").cloned().unwrap())));
    }
    let total: u64 = expected.iter().map(|(_, count)| count).sum();
    println!("{total} rows acked, {kills} kills");
    for (writer, count) in expected {
        let own = rows.iter().filter(|(who, _)| *who == writer).map(|(_, n)| n.clone());
        let own: Vec<_> = own.collect();
        let wanted: Vec<_> = (0..count).map(streamtable_schema::Value::from).collect();
        assert!(own == wanted, "{} of {count} rows, or not in order", own.len());
    }
    assert_eq!(rows.len() as u64, total);
    store.close().await.unwrap();
}
