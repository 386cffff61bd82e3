//! Work records, spans and events as rows.

use std::panic::{AssertUnwindSafe, catch_unwind};

use streamtable::{ColumnPolicy, Monitor, Row, StreamTable, TableLayer, Value, row};
use streamtable_mock_backend::MockBackend;
use tracing_subscriber::layer::SubscriberExt;

use crate::support::{builder, mock};

async fn table(mock: &MockBackend) -> StreamTable {
    builder(mock).no_spool().columns(ColumnPolicy::Evolve).open().await.unwrap()
}

async fn rows(mock: &MockBackend, table: StreamTable) -> Vec<Row> {
    table.finish().await.unwrap();
    mock.rows(table.path()).into_iter().map(|line| line.row).collect()
}

fn cells(row: &Row, names: [&str; 4]) -> [Value; 4] {
    names.map(|name| row.get(name).unwrap_or_else(|| panic!("no {name}: {row:?}")).clone())
}

#[tokio::test]
async fn work_is_logged_with_its_result() {
    let mock = mock();
    let table = table(&mock).await;
    let monitor = Monitor::new(&table);
    assert_eq!(monitor.run("price", &row! { "item" => "tea" }, || 9.5), 9.5);
    let failed: Result<i32, _> = monitor.try_run("parse", "x", || "x".parse::<i32>());
    failed.unwrap_err();
    assert_eq!(monitor.try_run("parse", "7", || "7".parse::<i32>()), Ok(7));
    let panicked =
        catch_unwind(AssertUnwindSafe(|| monitor.run("bad", &(), || -> i32 { panic!("no") })));
    panicked.unwrap_err();
    let rows = rows(&mock, table).await;
    let shown = rows.iter().map(|row| cells(row, ["name", "inputs", "output", "exception"]));
    let (none, panic) = (Value::Null, Value::from("a panic"));
    let tea = row! { "item" => "tea" };
    let error = Value::from("invalid digit found in string");
    let expected = [
        ["price".into(), tea.into(), 9.5.into(), none.clone()],
        ["parse".into(), "x".into(), none.clone(), error],
        ["parse".into(), "7".into(), 7.into(), none.clone()],
        ["bad".into(), none.clone(), none, panic],
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_record_has_its_duration_and_added_columns() {
    let mock = mock();
    let table = table(&mock).await;
    let mut record = Monitor::new(&table).begin("import");
    std::thread::sleep(std::time::Duration::from_millis(20));
    record.add("files", &3);
    record.output(&f64::NAN);
    record.finish().unwrap();
    let rows = rows(&mock, table).await;
    let [latency, start, end, files] = cells(&rows[0], ["latency", "start", "end", "files"]);
    assert!(matches!(latency, Value::Float(x) if x >= 0.02), "{latency:?}");
    let (Value::Timestamp(start), Value::Timestamp(end)) = (start, end) else { panic!() };
    assert!(start < end);
    assert_eq!(files, 3.into());
}

#[tokio::test]
async fn a_refused_record_is_an_error() {
    let mock = mock();
    let table = table(&mock).await;
    let monitor = Monitor::new(&table);
    let mut record = monitor.begin("twice");
    record.add("name", &1);
    assert!(record.finish().unwrap_err().to_string().contains(r#""name" appears twice"#));
    assert_eq!(table.stats().logged, 0);
}

#[tokio::test]
async fn spans_and_events_are_rows() {
    let mock = mock();
    let table = table(&mock).await;
    let subscriber = tracing_subscriber::registry().with(TableLayer::new(&table));
    tracing::subscriber::with_default(subscriber, || {
        let outer = tracing::info_span!("request", path = "/", status = tracing::field::Empty);
        outer.in_scope(|| {
            tracing::warn!(ms = 700, ok = false, ratio = 0.5, big = u64::MAX, "slow {}", "query");
            tracing::debug_span!("inner").in_scope(|| ());
        });
        outer.record("status", 404);
        tracing::info!(target: "hyper::client", "events of the delivery are not logged");
        tracing::info!(target: "hyperion", "but this is");
    });
    let rows = rows(&mock, table).await;
    let shown: Vec<_> =
        rows.iter().map(|row| cells(row, ["kind", "level", "message", "parent"])).collect();
    let none = Value::Null;
    assert_eq!(
        shown,
        [
            ["event".into(), "WARN".into(), "slow query".into(), "request".into()],
            ["span".into(), "DEBUG".into(), none.clone(), "request".into()],
            ["event".into(), "INFO".into(), "but this is".into(), none.clone()],
            ["span".into(), "INFO".into(), none.clone(), none],
        ]
    );
    let fields = row! { "ms" => 700, "ok" => false, "ratio" => 0.5, "big" => u64::MAX.to_string() };
    assert_eq!(rows[0].get("fields"), Some(&fields.into()));
    assert_eq!(rows[3].get("fields"), Some(&row! { "path" => "/", "status" => 404 }.into()));
    assert_eq!(rows[3].get("name"), Some(&"request".into()));
}

#[test]
fn a_waiting_layer_loses_no_events() {
    let mock = mock();
    for is_waiting in [false, true] {
        let builder = builder(&mock).columns(ColumnPolicy::Evolve).no_spool().buffer_bytes(2000);
        let table = builder.open_blocking().unwrap();
        let layer = match is_waiting {
            true => TableLayer::waiting(&table),
            false => TableLayer::new(&table),
        };
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            for n in 0..200 {
                tracing::info!(n, "event");
            }
        });
        let stats = table.finish().unwrap();
        assert_eq!(stats.logged + stats.refused, 200);
        assert!(stats.refused == 0 || !is_waiting, "{stats}");
    }
}
