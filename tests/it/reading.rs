//! Queries, scans and tails over the mock, whose responses come in short chunks.

use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;
use proptest::sample::select;
use serde::Deserialize;
use streamtable::read::{CellProblem, ReadError, Reader, Rows};
use streamtable::{ColumnPolicy, Row, Settings, Timestamp, row};
use streamtable_mock_backend::{Fault, Loss, MockBackend, MockConfig, NoAck, RequestKind};

use crate::support::{NAME, builder, mock};

#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Request {
    n: u64,
    name: Option<String>,
}

fn reader(mock: &MockBackend) -> Reader {
    let settings = Settings {
        base_url: mock.base_url().to_owned(),
        api_key: Some("local-key".parse().unwrap()),
        ..Settings::default()
    };
    Reader::new(mock.clone(), settings).unwrap()
}

/// Logs the numbers of a range.
async fn log(mock: &MockBackend, numbers: std::ops::Range<u64>) {
    let table = builder(mock).open().await.unwrap();
    table.log(numbers.map(|n| row! { "n" => n, "name" => "x" })).await.unwrap();
    table.finish().await.unwrap();
}

async fn numbers(rows: Rows<Request>) -> Vec<u64> {
    rows.all().await.unwrap().into_iter().map(|request| request.n).collect()
}

#[tokio::test(start_paused = true)]
async fn a_scan_returns_all_rows_page_by_page() {
    let mock = mock();
    log(&mock, 0..2500).await;
    let reader = reader(&mock);
    assert_eq!(numbers(reader.scan(NAME).rows().await.unwrap()).await, Vec::from_iter(0..2500));
    assert_eq!(mock.count(RequestKind::Read), 3, "a page has 1000 rows");
    let scan = || reader.scan("shop/requests");
    let expected = Vec::from_iter(1200..1210);
    assert_eq!(numbers(scan().from(1200).limit(10).rows().await.unwrap()).await, expected);
    let expected = Vec::from_iter(1000..2500);
    assert_eq!(numbers(scan().last(1500).rows().await.unwrap()).await, expected);
    assert_eq!(numbers(scan().last(0).rows().await.unwrap()).await, Vec::<u64>::new());
    assert_eq!(numbers(scan().limit(0).rows().await.unwrap()).await, Vec::<u64>::new());
    assert_eq!(numbers(scan().from(9999).rows().await.unwrap()).await, Vec::<u64>::new());
    mock.assert_no_violations();
}

/// Reads without a runtime of the caller's own.
fn read_blocking(mock: &MockBackend) {
    let reader = reader(mock);
    let rows = reader.scan(NAME).rows_blocking::<Request>().unwrap();
    let numbers: Vec<u64> = rows.map(|request| request.unwrap().n).collect();
    assert_eq!(numbers, Vec::from_iter(0..2500));

    mock.add_query("select 1", vec![row! { "n" => 1 }, row! { "n" => "x" }, row! { "n" => 3 }]);
    let mut rows = reader.query("select 1").rows_blocking::<Request>().unwrap();
    assert_eq!(rows.next().unwrap().unwrap(), Request { n: 1, name: None });
    let error = rows.next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), r#"row 1: column "n" is string "x", expected u64"#);
    assert_eq!(rows.next().unwrap().unwrap().n, 3);
    assert!(rows.next().is_none());
    assert!(reader.query("select 2").rows_blocking::<Request>().is_err());
    assert!(reader.scan("me/shop/other").rows_blocking::<Request>().unwrap_err().is_not_found());

    let mut tail = reader.tail(NAME).last(2).rows_blocking::<Request>().unwrap();
    assert_eq!([(); 2].map(|()| tail.next().unwrap().unwrap().n), [2498, 2499]);
    assert!(!tail.is_ready_within(Duration::from_millis(20)));
    drop(reader);
    assert!(!tail.is_ready_within(Duration::ZERO), "the tail keeps its thread");
}

#[test]
fn rows_are_read_on_plain_threads_and_in_runtimes() {
    let mock = mock();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(log(&mock, 0..2500));
    read_blocking(&mock);
    runtime.block_on(async { read_blocking(&mock) });
    mock.assert_no_violations();
}

/// Rows can be read on any thread of a runtime.
#[test]
fn reading_can_be_spawned() {
    fn is_send<T: Send>(_: T) {}
    let reader = reader(&mock());
    is_send(reader.tail(NAME).rows::<Request>());
    is_send(reader.scan(NAME).rows::<Request>());
    is_send(reader.query("select 1").rows::<Request>());
    is_send(async move { reader.scan(NAME).rows::<Request>().await?.next().await.transpose() });
}

#[tokio::test(start_paused = true)]
async fn rows_have_their_positions_and_times() {
    #[derive(Debug, Deserialize)]
    struct Stored {
        #[serde(rename = "_position")]
        position: u64,
        #[serde(rename = "_line")]
        line: u64,
        timestamp: Timestamp,
        x: f64,
    }

    let mock = mock();
    let table = builder(&mock).open().await.unwrap();
    let at = Timestamp::from_micros(1_500_001);
    table.log(row! { "timestamp" => at, "x" => f64::NAN }).await.unwrap();
    table.log(row! { "timestamp" => at, "x" => 1 }).await.unwrap();
    table.finish().await.unwrap();
    let mut rows = reader(&mock).scan(NAME).rows::<Stored>().await.unwrap();
    let row = rows.next().await.unwrap().unwrap();
    assert_eq!((row.position, row.line, row.timestamp, row.x.is_nan()), (0, 0, at, true));
    assert_eq!((rows.next().await.unwrap().unwrap().x, rows.position()), (1.0, Some(1)));
    assert!(rows.next().await.is_none() && rows.next().await.is_none());
    let rows: Vec<Row> = reader(&mock).scan(NAME).rows().await.unwrap().all().await.unwrap();
    assert_eq!((rows[0]["x"].as_str(), rows[1]["x"].as_i64()), (Some("NaN"), Some(1)));
    assert_eq!(rows[0]["timestamp"].as_str(), Some("1970-01-01T00:00:01.500001Z"));
}

#[tokio::test(start_paused = true)]
async fn a_row_that_does_not_fit_is_an_error_and_the_next_row_follows() {
    let mock = mock();
    let table = builder(&mock).columns(ColumnPolicy::Evolve).open().await.unwrap();
    table.log([row! { "n" => 1 }, row! { "n" => "x" }, row! { "m" => 1 }]).await.unwrap();
    table.log(row! { "n" => 4 }).await.unwrap();
    table.finish().await.unwrap();
    let mut rows = reader(&mock).scan(NAME).rows::<Request>().await.unwrap();
    assert_eq!(rows.next().await.unwrap().unwrap(), Request { n: 1, name: None });
    let error = rows.next().await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), r#"row 1: column "n" is string "x", expected u64"#);
    assert_eq!((error.column(), error.is_retryable()), (Some("n"), false));
    let error = rows.next().await.unwrap().unwrap_err();
    assert!(
        matches!(&error, ReadError::Row { row: 2, error } if error.problem == CellProblem::Missing),
        "{error}"
    );
    assert_eq!(rows.next().await.unwrap().unwrap().n, 4);
    assert!(rows.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_tail_returns_new_rows_without_end() {
    let mock = mock();
    log(&mock, 0..5).await;
    let reader = reader(&mock);
    let mut new = reader.tail(NAME).rows::<Request>().await.unwrap();
    let mut all = reader.tail(NAME).last(2).rows::<Request>().await.unwrap();
    assert_eq!(all.next().await.unwrap().unwrap().n, 3);
    assert_eq!(all.next().await.unwrap().unwrap().n, 4);
    let waiting = tokio::time::timeout(Duration::from_secs(600), new.next());
    assert!(waiting.await.is_err(), "there is no new row");
    mock.push_fault(RequestKind::Read, Fault::CutBody).unwrap();
    mock.push_fault(RequestKind::Read, Fault::Unreachable).unwrap();
    log(&mock, 5..30).await;
    for n in 5..30 {
        assert_eq!(new.next().await.unwrap().unwrap().n, n);
        assert_eq!(all.next().await.unwrap().unwrap().n, n);
    }
    mock.assert_no_violations();
}

#[tokio::test(start_paused = true)]
async fn a_query_returns_what_the_server_finds() {
    let mock = mock();
    let sql = "select n, name from me.shop.requests";
    let row = |n: u64| row! { "n" => n, "name" => None::<&str> };
    mock.add_query(sql, (0..50).map(row).collect());
    let reader = reader(&mock);
    let query = || reader.query(sql).home("me", "shop").timeout(Duration::from_secs(5));
    assert_eq!(numbers(query().rows().await.unwrap()).await, Vec::from_iter(0..50));

    // A partial result is never taken for a whole one.
    mock.push_fault(RequestKind::Read, Fault::CutBody).unwrap();
    let error = query().rows::<Request>().await.unwrap().all().await.unwrap_err();
    assert!(matches!(&error, ReadError::Transport(error) if error.is_retryable()), "{error}");

    let error = reader.query("selekt").rows::<Request>().await.unwrap_err();
    assert_eq!(error.to_string(), r#"the mock has no result for "selekt": call `add_query`"#);
    assert!(matches!(error, ReadError::Refused { status: StatusCode::BAD_REQUEST, .. }));
    mock.assert_no_violations();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_an_error_at_once() {
    let mock = mock();
    log(&mock, 0..3).await;
    let scan = async |name: &str| reader(&mock).scan(name).rows::<Request>().await.map(|_| ());
    let error = scan("me/shop/other").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no table me/shop/other");
    assert!(error.is_not_found());
    assert!(matches!(scan("").await, Err(ReadError::Name(_))));
    for (fault, expected) in [
        (Fault::NoAck(NoAck::Page), r#"the content type is "text/html""#),
        (Fault::NoAck(NoAck::NoContent), r#"the content type is """#),
        (Fault::Unreachable, "connection refused"),
        (Fault::Status { code: StatusCode::BAD_GATEWAY, retry_after: None }, "injected"),
    ] {
        mock.push_fault(RequestKind::Read, fault).unwrap();
        let error = scan(NAME).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let config = MockConfig { keys: Some(vec![]), ..MockConfig::default() };
    mock.set_keys(config.keys);
    assert!(matches!(scan(NAME).await, Err(ReadError::Refused { status, .. }) if status == 401));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_away_is_an_error_after_the_timeout() {
    let mock = mock();
    log(&mock, 0..3).await;
    let tail = reader(&mock).tail(NAME).reconnect_timeout(Duration::from_secs(10));
    let mut rows = tail.rows::<Request>().await.unwrap();
    for _ in 0..100 {
        mock.push_fault(RequestKind::Read, Fault::Unreachable).unwrap();
    }
    let start = tokio::time::Instant::now();
    let error = rows.next().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("connection refused"), "{error}");
    let waited = start.elapsed().as_secs();
    assert!((10..=15).contains(&waited), "{waited} s");
    assert!(rows.next().await.is_none(), "nothing follows");
}

#[tokio::test(start_paused = true)]
async fn a_tail_waits_for_a_table_that_does_not_exist_yet() {
    let mock = mock();
    let mut rows = reader(&mock).tail(NAME).rows::<Request>().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(3600), rows.next()).await.is_err());
    log(&mock, 0..2).await;
    assert_eq!(rows.next().await.unwrap().unwrap().n, 0);
    assert_eq!(rows.next().await.unwrap().unwrap().n, 1);
}

fn passing_fault() -> impl Strategy<Value = Option<Fault>> {
    select(vec![
        None,
        Some(Fault::CutBody),
        Some(Fault::Unreachable),
        Some(Fault::LoseRequest(Loss::Interrupted)),
        Some(Fault::LoseAnswer(Loss::Timeout)),
        Some(Fault::Status { code: StatusCode::SERVICE_UNAVAILABLE, retry_after: None }),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever is lost on the way, a scan and a tail return each row once, in order.
    #[test]
    fn every_row_is_returned_once(
        rows in 0_u64..2200,
        faults in prop::collection::vec(passing_fault(), 0..8),
        is_tail in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let found = runtime.block_on(async {
            let mock = mock();
            log(&mock, 0..rows.max(1)).await;
            let reader = reader(&mock);
            let mut found = Vec::new();
            let patience = Duration::from_secs(3600);
            let (scan, tail) = (reader.scan(NAME), reader.tail(NAME).from(0));
            let mut stream = match is_tail {
                true => tail.reconnect_timeout(patience).rows::<Request>().await.unwrap(),
                false => scan.reconnect_timeout(patience).rows().await.unwrap(),
            };
            for fault in faults.into_iter().flatten() {
                mock.push_fault(RequestKind::Read, fault).unwrap();
            }
            while found.len() < rows.max(1) as usize {
                found.push(stream.next().await.unwrap().unwrap().n);
            }
            if !is_tail {
                assert!(stream.next().await.is_none());
            }
            mock.assert_no_violations();
            found
        });
        prop_assert_eq!(found, Vec::from_iter(0..rows.max(1)));
    }
}
