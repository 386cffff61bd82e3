//! Spans and logs arrive as rows.
#![expect(clippy::unwrap_used, reason = "a test that cannot continue must fail")]

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::trace::{Span, SpanKind, Status, Tracer, TracerProvider};
use opentelemetry::{Array, KeyValue, Value as OtelValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use streamtable::blocking::StreamTable;
use streamtable::{ColumnPolicy, Row, Settings, TablePath};
use streamtable_mock_backend::MockBackend;
use streamtable_opentelemetry::{TableLogExporter, TableSpanExporter};

fn open(mock: &MockBackend) -> Arc<StreamTable> {
    let settings = Settings {
        base_url: mock.base_url().to_owned(),
        api_key: Some("local-key".parse().unwrap()),
        ..Settings::default()
    };
    let builder = StreamTable::builder("me/shop/telemetry").settings(settings);
    let builder = builder.transport(mock.clone()).columns(ColumnPolicy::Evolve).no_spool();
    Arc::new(builder.print_url(false).open_blocking().unwrap())
}

fn rows(mock: &MockBackend) -> Vec<Row> {
    let path: TablePath = "me/shop/telemetry".parse().unwrap();
    mock.rows(&path).into_iter().map(|line| line.row).collect()
}

#[test]
fn spans_are_rows() {
    let mock = MockBackend::default();
    let table = open(&mock);
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder_empty().with_service_name("shop").build())
        .with_simple_exporter(TableSpanExporter::new(Arc::clone(&table)))
        .build();
    let tracer = provider.tracer("checkout");
    for tags in [OtelValue::Array(Array::I64(vec![1, 2])), "one".into(), 7.into()] {
        let mut span = tracer.span_builder("pay").with_kind(SpanKind::Server).start(&tracer);
        span.set_attribute(KeyValue::new("tags", tags));
        span.add_event("retry", vec![KeyValue::new("n", 1)]);
        span.set_status(Status::error("declined"));
        span.end();
    }
    tracer.start("idle").end();
    // The simple processor does not pass a flush on to its exporter.
    table.flush(std::time::Duration::from_secs(30)).unwrap();

    let rows = rows(&mock);
    assert_eq!((rows.len(), table.stats().acked, table.stats().refused), (4, 4, 0));
    let pay = &rows[0];
    assert_eq!(pay["name"].as_str(), Some("pay"));
    assert_eq!((pay["kind"].as_str(), pay["service"].as_str()), (Some("server"), Some("shop")));
    assert_eq!((pay["scope"].as_str(), pay["status"].as_str()), (Some("checkout"), Some("error")));
    assert_eq!(pay["message"].as_str(), Some("declined"));
    assert!(pay["start"].as_timestamp() <= pay["end"].as_timestamp());
    assert!(pay["latency"].as_f64().is_some_and(|seconds| (0.0..60.0).contains(&seconds)));
    assert_eq!(pay["trace_id"].as_str().map(str::len), Some(32));
    assert!(pay["parent_id"].is_null());
    let tags = |row: &Row| row["attributes"].as_struct().unwrap()["tags"].clone();
    assert_eq!(
        [tags(pay), tags(&rows[1]), tags(&rows[2])],
        ["[1,2]".into(), "one".into(), 7.into()]
    );
    let event = pay["events"].as_list().unwrap()[0].as_struct().unwrap();
    assert_eq!(
        (event["name"].as_str(), event["attributes"].as_str()),
        (Some("retry"), Some(r#"{"n":1}"#))
    );
    assert!(rows[3]["attributes"].is_null() && rows[3]["events"].is_null());

    provider.shutdown().unwrap();
    assert_eq!(table.finish().unwrap().acked, 4);
    mock.assert_no_violations();
}

#[test]
fn log_records_are_rows() {
    let mock = MockBackend::default();
    let table = open(&mock);
    let provider = SdkLoggerProvider::builder()
        .with_resource(Resource::builder_empty().with_service_name("shop").build())
        .with_simple_exporter(TableLogExporter::new(Arc::clone(&table)))
        .build();
    let logger = provider.logger("checkout");
    let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
    let map = HashMap::from([("b".into(), 2.into()), ("a".into(), AnyValue::from("x"))]);
    for body in [AnyValue::from("declined"), AnyValue::Map(Box::new(map))] {
        let mut record = logger.create_log_record();
        record.set_timestamp(at);
        record.set_severity_number(Severity::Warn);
        record.set_target("shop::pay");
        record.set_body(body);
        record.add_attribute("order", 7);
        logger.emit(record);
    }
    provider.shutdown().unwrap();

    let rows = rows(&mock);
    assert_eq!((rows.len(), table.stats().acked, table.stats().refused), (2, 2, 0));
    assert_eq!(rows[0]["timestamp"].as_timestamp(), Some(at.into()));
    assert_eq!(
        (rows[0]["severity"].as_str(), rows[0]["target"].as_str()),
        (Some("WARN"), Some("shop::pay"))
    );
    assert_eq!(rows[0]["body"].as_str(), Some("declined"));
    assert_eq!(rows[1]["body"].as_str(), Some(r#"{"a":"x","b":2}"#));
    assert_eq!(rows[1]["attributes"].as_struct().unwrap()["order"].as_i64(), Some(7));
    table.finish().unwrap();
    mock.assert_no_violations();
}
