//! What `log` accepts and returns, and which requests opening a table sends.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use streamtable::{
    Append, AppendError, Appended, Backend, BatchLimits, ColumnPolicy, FlushFailure, Refusal,
    Settings, StreamTable, WhenFull, row,
};
use streamtable_mock_backend::{Fault, Loss, MockBackend, RequestKind};
use streamtable_schema::Value;
use streamtable_transport::ApiKey;

use crate::support::{NAME, builder, mock, open};

#[derive(Serialize)]
struct Event {
    n: i64,
}

/// Returns the column `n` of all stored rows.
fn numbers(mock: &MockBackend) -> Vec<Value> {
    let rows = mock.rows(&NAME.parse().unwrap());
    rows.iter().filter_map(|line| line.row.get("n")).cloned().collect()
}

#[tokio::test(start_paused = true)]
async fn log_accepts_one_row_or_many_in_every_form() {
    let mock = mock();
    let table = open(&mock).await;
    let events = [Event { n: 1 }, Event { n: 2 }];
    let mut logged = table.log(row! { "n" => 0 }).await.unwrap().rows;
    logged += table.log(&events).await.unwrap().rows;
    logged += table.log(&events[..1]).await.unwrap().rows;
    logged += table.log(&Event { n: 3 }).await.unwrap().rows;
    logged += table.log(vec![row! { "n" => 4 }]).await.unwrap().rows;
    logged += table.log([Event { n: 5 }, Event { n: 6 }]).await.unwrap().rows;
    logged += table.log(events.iter()).await.unwrap().rows;
    logged += table.log((7..9).map(|n| row! { "n" => n })).await.unwrap().rows;
    logged += table.try_log(&events.iter().collect::<Vec<_>>()).unwrap().rows;
    logged += table.log(Vec::<Event>::new()).await.unwrap().rows;
    assert_eq!(logged, 14);
    assert_eq!(table.finish().await.unwrap().acked, 14);
    let expected = [0, 1, 2, 1, 3, 4, 5, 6, 1, 2, 7, 8, 1, 2].map(Value::from);
    assert_eq!(numbers(&mock), expected);
    mock.assert_no_violations();
}

#[tokio::test(start_paused = true)]
async fn the_first_call_returns_the_panel_url() {
    let mock = mock();
    let table = open(&mock).await;
    assert_eq!(table.log(Vec::<Event>::new()).await.unwrap().panel_url, None);
    assert!(table.log(&7).await.is_err());
    let url = "http://mock.invalid/?exp=get%28%0A++++%22wandb-artifact%3A%2F%2F%2Fme%2Fshop%2F\
               requests%3Alatest%2Fobj%22%29%0A++.rows";
    assert_eq!(table.log(row! { "n" => 1 }).await.unwrap().panel_url.as_deref(), Some(url));
    assert_eq!(table.log(row! { "n" => 2 }).await.unwrap().panel_url, None);
    assert_eq!(table.panel_url(), Some(url));
    assert_eq!(table.rows_url(), Some("http://mock.invalid/me/shop/runs/requests"));
}

#[tokio::test(start_paused = true)]
async fn opening_sends_nine_requests_for_a_new_table_and_one_for_an_existing_one() {
    let mock = mock();
    let first = open(&mock).await;
    let requests = mock.count(RequestKind::Graphql) + mock.count(RequestKind::Upload);
    assert_eq!(requests, 9);
    assert!(mock.has_artifact(first.path()));
    first.log(row! { "n" => 1 }).await.unwrap();
    first.finish().await.unwrap();

    let second = open(&mock).await;
    let more = mock.count(RequestKind::Graphql) + mock.count(RequestKind::Upload) - requests;
    assert_eq!(more, 1);
    second.log(row! { "n" => 2 }).await.unwrap();
    second.finish().await.unwrap();
    assert_eq!(numbers(&mock), [1, 2].map(Value::from));
    assert_ne!(first.writer(), second.writer());
    mock.assert_no_violations();
}

#[tokio::test(start_paused = true)]
async fn opening_an_existing_table_loads_its_columns() {
    let mock = mock();
    let first = open(&mock).await;
    first.log(row! { "n" => 1, "tags" => vec!["a"], "s" => row! { "x" => 1.5 } }).await.unwrap();
    first.finish().await.unwrap();

    let second = open(&mock).await;
    let error = second.log(row! { "n" => 1, "tags" => vec!["a"] }).await.unwrap_err();
    assert!(error.to_string().contains(r#"column "s" is missing"#), "{error}");
    let more = row! { "n" => 2.5, "tags" => vec!["b"], "s" => row! { "x" => 2 }, "new" => 1 };
    assert!(second.log(more.clone()).await.is_err());

    let third = builder(&mock).columns(ColumnPolicy::Evolve).open().await.unwrap();
    third.log(more).await.unwrap();
    assert_eq!(third.finish().await.unwrap().acked, 1);
    mock.assert_no_violations();
}

#[tokio::test(start_paused = true)]
async fn a_call_accepts_the_valid_rows_and_returns_the_others() {
    let mock = mock();
    let table = open(&mock).await;
    let bad = row! { "m" => 1 };
    let rows = vec![row! { "n" => 0 }, bad.clone(), row! { "n" => 2 }, bad.clone()];
    let error = table.log(rows).await.unwrap_err();
    assert_eq!(error.accepted, 2);
    let refused: Vec<_> = error.refused.iter().map(|r| (r.index, r.row.as_ref())).collect();
    assert_eq!(refused, [(1, Some(&bad)), (3, Some(&bad))]);
    assert_eq!(
        error.to_string(),
        r#"2 of 4 rows refused, the first at 1: column "m" is not one of the table's; open the table with evolving columns to add it"#
    );
    assert_eq!(table.finish().await.unwrap().acked, 2);
}

#[tokio::test(start_paused = true)]
async fn a_single_row_is_sent_after_the_linger_time() {
    let mock = mock();
    let table = open(&mock).await;
    table.log(row! { "n" => 1 }).await.unwrap();
    tokio::time::sleep(BatchLimits::default().linger + Duration::from_millis(1)).await;
    assert_eq!(table.stats().acked, 1);
}

#[tokio::test(start_paused = true)]
async fn rows_are_sent_in_batches() {
    let mock = mock();
    let table = open(&mock).await;
    table.log((0..1000).map(|n| Event { n })).await.unwrap();
    assert_eq!(table.flush(Duration::from_secs(1)).await.unwrap().acked, 1000);
    assert_eq!(mock.count(RequestKind::FileStream), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_refuses_or_waits() {
    let mock = mock();
    mock.push_fault(RequestKind::FileStream, Fault::Delay(Duration::from_secs(5))).unwrap();
    let refusing = builder(&mock).buffer_bytes(1000).open().await.unwrap();
    let error = refusing.log((0..100).map(|n| row! { "n" => n })).await.unwrap_err();
    assert!((1..100).contains(&error.accepted), "{error}");
    let [refused] = &error.refused[..] else { panic!("the iterator is not read further: {error}") };
    assert_eq!(refused.row, Some(row! { "n" => error.accepted }));
    assert!(matches!(refused.reason, Refusal::Full { limit: 1000, .. }));
    assert!(refused.reason.is_retryable());
    let accepted = error.accepted as u64;
    assert_eq!(refusing.finish().await.unwrap().acked, accepted);

    mock.push_fault(RequestKind::FileStream, Fault::Delay(Duration::from_secs(5))).unwrap();
    let waiting = builder(&mock).buffer_bytes(1000).when_full(WhenFull::Wait).open().await.unwrap();
    let start = tokio::time::Instant::now();
    assert_eq!(waiting.log((0..100).map(|n| Event { n })).await.unwrap().rows, 100);
    assert!(start.elapsed() >= Duration::from_secs(5));
    assert!(waiting.try_log((0..100).map(|n| Event { n })).is_err());
    assert!(waiting.finish().await.unwrap().is_settled());
    mock.assert_no_violations();
}

#[tokio::test(start_paused = true)]
async fn a_row_larger_than_the_buffer_is_refused_at_once() {
    for when_full in [WhenFull::Refuse, WhenFull::Wait] {
        let mock = mock();
        let table = builder(&mock).buffer_bytes(1000).when_full(when_full).open().await.unwrap();
        mock.push_fault(RequestKind::FileStream, Fault::Delay(Duration::from_secs(50))).unwrap();
        let texts = ["", &"x".repeat(2000), "x"].map(|text| row! { "text" => text });
        let start = tokio::time::Instant::now();
        let error = table.log(texts).await.unwrap_err();
        assert_eq!(start.elapsed(), Duration::ZERO);
        let [refused] = &error.refused[..] else { panic!("{error}") };
        assert_eq!((error.accepted, refused.index), (2, 1));
        assert!(matches!(refused.reason, Refusal::TooLong { limit: ..1000, .. }), "{error}");
        assert_eq!(table.finish().await.unwrap().acked, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_stops_reading_further_rows() {
    let mock = mock();
    let limits = BatchLimits { linger: Duration::from_secs(3600), ..BatchLimits::default() };
    let builder = builder(&mock).buffer_bytes(1000).limits(limits).when_full(WhenFull::Wait);
    let table = builder.open().await.unwrap();
    let log = table.log((0..100).map(|n| Event { n }));
    let logged = tokio::time::timeout(Duration::from_secs(60), log).await;
    assert_eq!(logged.unwrap().unwrap().rows, 100);
    while table.try_log(&Event { n: 0 }).is_ok() {}
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(table.try_log(&Event { n: 0 }).is_ok());
}

#[tokio::test(start_paused = true)]
async fn finish_wakes_a_call_that_waits_for_space() {
    let mock = mock();
    let table = builder(&mock).buffer_bytes(1000).when_full(WhenFull::Wait).open().await.unwrap();
    mock.push_fault(RequestKind::FileStream, Fault::Delay(Duration::from_secs(50))).unwrap();
    let waiting = table.clone();
    let log = tokio::spawn(async move { waiting.log((0..100).map(|n| Event { n })).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = tokio::time::Instant::now();
    let (logged, finished) = tokio::join!(
        async {
            let logged = log.await.unwrap();
            assert_eq!(start.elapsed(), Duration::ZERO);
            logged.unwrap_err()
        },
        table.finish()
    );
    assert_eq!(logged.refused[0].reason, Refusal::Finished);
    assert_eq!(finished.unwrap().acked, logged.accepted as u64);
}

/// Runs in a separate process, for the test below.
#[tokio::test(start_paused = true)]
#[ignore = "prints to standard error"]
async fn prints_the_panel_url() {
    let builder = streamtable::StreamTable::builder(NAME).base_url("http://mock.invalid");
    let builder = builder.api_key("local-key").transport(mock());
    let table = builder.open().await.unwrap();
    assert!(table.log(row! { "n" => 1 }).await.unwrap().panel_url.is_some());
    table.finish().await.unwrap();
}

#[test]
fn a_closed_standard_error_is_ignored() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "logging::prints_the_panel_url", "--ignored", "--nocapture"])
        .stdout(std::process::Stdio::null())
        .stderr(writer)
        .status();
    assert!(status.unwrap().success());
}

#[tokio::test(start_paused = true)]
async fn flush_reports_pending_rows_and_the_reason() {
    let mock = mock();
    let table = open(&mock).await;
    table.log(row! { "n" => 1 }).await.unwrap();
    for _ in 0..6 {
        mock.push_fault(RequestKind::FileStream, Fault::LoseRequest(Loss::Interrupted)).unwrap();
    }
    let error = table.flush(Duration::from_secs(3)).await.unwrap_err();
    assert_eq!(error.stats.pending, 1);
    let FlushFailure::Timeout { waited, last_error } = error.reason else { panic!("{error}") };
    assert_eq!(waited, Duration::from_secs(3));
    assert!(
        last_error
            .unwrap()
            .starts_with("lost the connection to mock.invalid before the response was complete")
    );
    // Delivery continues after the failed flush.
    assert_eq!(table.finish().await.unwrap().acked, 1);
}

#[tokio::test(start_paused = true)]
async fn a_custom_clock_stamps_rows() {
    #[derive(Debug)]
    struct Noon(Mutex<i64>);
    impl streamtable::Clock for Noon {
        fn now(&self) -> streamtable::Timestamp {
            let mut millis = self.0.lock().unwrap();
            *millis += 1;
            streamtable::Timestamp::from_millis(*millis)
        }
    }
    let mock = mock();
    let clock = Noon(Mutex::new(1_700_000_000_000));
    let table = builder(&mock).clock(clock).open().await.unwrap();
    table.log([Event { n: 1 }, Event { n: 2 }]).await.unwrap();
    table.finish().await.unwrap();
    let rows = mock.rows(table.path());
    let stamps: Vec<_> = rows.iter().map(|line| line.row.get("timestamp").unwrap()).collect();
    let stamp = |millis| Value::from(streamtable::Timestamp::from_millis(millis));
    assert_eq!(stamps, [&stamp(1_700_000_000_001), &stamp(1_700_000_000_002)]);
    assert_eq!(rows[0].logged_at, Some(streamtable::Timestamp::from_millis(1_700_000_000_001)));
}

#[tokio::test(start_paused = true)]
async fn futures_can_be_spawned_as_tasks() {
    let mock = mock();
    let table = tokio::spawn(builder(&mock).open()).await.unwrap().unwrap();
    let theirs = table.clone();
    let task = async move {
        theirs.log(row! { "n" => 1 }).await.unwrap();
        theirs.log((2..4).map(|n| Event { n })).await.unwrap();
        theirs.flush(Duration::from_secs(1)).await.unwrap();
        theirs.finish().await.unwrap()
    };
    assert_eq!(tokio::spawn(task).await.unwrap(), table.stats());
    assert_eq!(table.stats().acked, 3);
}

#[tokio::test]
async fn a_name_alone_is_enough() {
    let mock = mock();
    let open = async |name: &str, project: Option<&str>| {
        let base_url = mock.base_url().to_owned();
        let api_key = Some(ApiKey::new("local-key").unwrap());
        let project = project.map(str::to_owned);
        let settings = Settings { base_url, api_key, project, ..Settings::default() };
        let builder = StreamTable::builder(name).settings(settings).transport(mock.clone());
        builder.print_url(false).open().await.unwrap().path().to_string()
    };
    assert_eq!(open("requests", None).await, "me/stream-tables/requests");
    assert_eq!(open("requests", Some("shop")).await, "me/shop/requests");
    assert_eq!(open("other/requests", Some("shop")).await, "me/other/requests");

    /// Stores nothing.
    #[derive(Debug)]
    struct Discard;

    #[async_trait]
    impl Backend for Discard {
        async fn append(&self, _: Append) -> Result<Appended, AppendError> {
            Ok(Appended::default())
        }
    }
    let builder = StreamTable::builder("requests").settings(Settings::default());
    let table = builder.backend(Discard).print_url(false).open().await.unwrap();
    assert_eq!(table.path().to_string(), "local/stream-tables/requests");
}
