//! The blocking façade, called from threads and from inside runtimes.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use streamtable::blocking::StreamTable;
use streamtable::spool::{self, SpoolConfig};
use streamtable::{Builder, FlushFailure, Refusal, WhenFull, row};
use streamtable_mock_backend::MockBackend;
use streamtable_transport_hyper::HyperTransport;

use crate::support::NAME;

fn builder(base_url: &str) -> Builder {
    StreamTable::builder(NAME)
        .base_url(base_url)
        .api_key("local-key")
        .transport(HyperTransport::new().unwrap())
        .print_url(false)
}

/// Opens a table, logs, flushes, finishes and drops, over a real socket.
fn use_it() {
    let mock = MockBackend::default();
    let server = mock.serve("127.0.0.1:0").unwrap();
    let table = builder(&server.base_url()).open_blocking().unwrap();
    let first = table.log(row! { "n" => 0 }).unwrap();
    assert!(first.panel_url.unwrap().starts_with(&server.base_url()));
    assert_eq!(table.flush(Duration::from_secs(10)).unwrap().acked, 1);
    table.log((1..100).map(|n| row! { "n" => n })).unwrap();
    assert_eq!(table.finish().unwrap().acked, 100);
    assert_eq!(mock.rows(table.path()).len(), 100);
    assert!(mock.is_complete(table.path()));
    drop(table);
    mock.assert_no_violations();
}

#[test]
fn from_a_plain_thread() {
    use_it();
}

#[tokio::test]
async fn from_inside_a_current_thread_runtime() {
    use_it();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_inside_a_multi_thread_runtime() {
    use_it();
}

#[test]
fn clones_log_as_one_writer_and_the_last_one_waits() {
    let mock = MockBackend::default();
    let server = mock.serve_local().unwrap();
    let table = builder(&server.base_url()).no_spool().open_blocking().unwrap();
    let clones = [table.clone(), table.clone()];
    assert!(clones.iter().all(|clone| clone.writer() == table.writer()));
    let path = table.path().clone();
    drop(table);
    let threads = clones.map(|clone| {
        std::thread::spawn(move || {
            (0..50).for_each(|n| drop(clone.log(row! { "n" => n }).unwrap()))
        })
    });
    // The clone that is dropped last delivers the rows of both.
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(mock.rows(&path).len(), 100);
}

#[test]
fn many_threads_keep_the_order_of_each_thread() {
    let mock = MockBackend::default();
    let server = mock.serve("127.0.0.1:0").unwrap();
    let opened =
        builder(&server.base_url()).when_full(WhenFull::Wait).buffer_bytes(20_000).open_blocking();
    let table = Arc::new(opened.unwrap());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let table = Arc::clone(&table);
            scope.spawn(move || {
                for n in 0..500 {
                    table.log(row! { "thread" => thread, "n" => n }).unwrap();
                }
            });
        }
    });
    assert_eq!(table.finish().unwrap().acked, 2000);
    let rows = mock.rows(table.path());
    for thread in 0..4 {
        let of_thread = rows.iter().filter(|line| line.row.get("thread") == Some(&thread.into()));
        let numbers: Vec<_> = of_thread.filter_map(|line| line.row.get("n")).cloned().collect();
        assert_eq!(numbers, (0..500).map(Into::into).collect::<Vec<_>>());
    }
}

#[test]
fn drop_delivers() {
    let mock = MockBackend::default();
    let server = mock.serve("127.0.0.1:0").unwrap();
    let table = builder(&server.base_url()).open_blocking().unwrap();
    table.log((0..1000).map(|n| row! { "n" => n })).unwrap();
    let path = table.path().clone();
    drop(table);
    assert_eq!(mock.rows(&path).len(), 1000);
    assert!(mock.is_complete(&path));
}

/// Drops a table whose server has been stopped.
fn drop_without_a_server() {
    const BOUND: Duration = Duration::from_millis(300);
    let mock = MockBackend::default();
    let server = mock.serve("127.0.0.1:0").unwrap();
    let table = builder(&server.base_url()).drop_timeout(BOUND).open_blocking().unwrap();
    drop(server);
    table.log(row! { "n" => 1 }).unwrap();
    let start = Instant::now();
    drop(table);
    let took = start.elapsed();
    assert!(took < BOUND + Duration::from_secs(2), "{took:?}");
}

#[test]
fn drop_is_bounded_without_a_server() {
    drop_without_a_server();
}

#[tokio::test]
async fn drop_is_bounded_inside_a_runtime() {
    drop_without_a_server();
}

#[test]
fn open_with_a_silent_server_is_bounded() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", silent.local_addr().unwrap());
    let start = Instant::now();
    let opened = builder(&base_url).open_timeout(Duration::from_millis(300)).open_blocking();
    assert!(opened.unwrap_err().to_string().starts_with("cannot open the table within"));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_wait_can_be_cancelled() {
    let mock = MockBackend::default();
    let server = mock.serve("127.0.0.1:0").unwrap();
    let table = builder(&server.base_url())
        .no_spool()
        .when_full(WhenFull::Wait)
        .buffer_bytes(1000)
        .drop_timeout(Duration::from_millis(10))
        .open_blocking()
        .unwrap();
    // From here on, the server accepts no rows.
    drop(server);
    let mut asked = 0;
    let mut only_twice = || {
        asked += 1;
        asked < 2
    };
    let error = table.log_while((0..100).map(|n| row! { "n" => n }), &mut only_twice).unwrap_err();
    assert!(
        error.accepted > 0 && matches!(error.refused[0].reason, Refusal::Full { .. }),
        "{error}"
    );
    assert_eq!(asked, 2);

    let error = table.flush_while(Duration::MAX, || false).unwrap_err();
    assert_eq!(error.reason, FlushFailure::BrokenOff);
    assert_eq!(error.stats.pending, table.stats().logged);

    let error = table.finish_while(|| false).unwrap_err();
    assert_eq!(error.reason, FlushFailure::BrokenOff);
    let error = table.log(row! { "n" => 0 }).unwrap_err();
    assert_eq!(error.refused[0].reason, Refusal::Finished);
    assert!(!table.is_spooled());
}

#[test]
fn the_spool_is_empty_when_finish_returns() {
    let folder = tempfile::tempdir().unwrap();
    let mock = MockBackend::default();
    let server = mock.serve("127.0.0.1:0").unwrap();
    let config = SpoolConfig { dir: Some(folder.path().into()), ..SpoolConfig::default() };
    let table = builder(&server.base_url()).spool(config).open_blocking().unwrap();
    assert!(table.is_spooled());
    table.log(row! { "n" => 0 }).unwrap();
    table.finish().unwrap();
    assert_eq!(spool::list(folder.path()).unwrap(), []);
}
