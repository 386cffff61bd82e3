//! Bad input, as a table of inputs and errors. Each error is returned by the earliest possible
//! call.

use std::time::Duration;

use serde::Serialize;
use streamtable::{LogError, Media, OpenError, Refusal, Row, Settings, StreamTable, Value, row};
use streamtable_mock_backend::{MockBackend, MockConfig, RequestKind};
use streamtable_schema::MediaKind;
use streamtable_transport_hyper::HyperTransport;

use crate::support::{NAME, builder, mock, open};

async fn open_error(name: &str, settings: Settings) -> OpenError {
    let mock = mock();
    let opened = StreamTable::builder(name).settings(settings).transport(mock.clone()).open().await;
    assert_eq!(mock.count(RequestKind::Graphql), 0, "{name} was sent to the server");
    opened.unwrap_err()
}

fn settings() -> Settings {
    let api_key = Some("local-key".parse().unwrap());
    Settings { base_url: "http://mock.invalid".into(), api_key, ..Settings::default() }
}

#[tokio::test]
async fn names_are_refused_before_anything_is_sent() {
    for (name, message) in [
        ("a/b/c/d", "a table name has at most three parts, entity/project/table; this one has 4"),
        ("e/p/", "the table name is empty"),
        ("e//t", "the project is empty"),
        ("Me/p/t", r#"the entity "Me" contains 'M'; it may contain a-z, 0-9, _ and -"#),
        (
            "e/p/a b",
            r#"the table name "a b" contains ' '; it may contain A-Z, a-z, 0-9, _, . and -"#,
        ),
    ] {
        assert_eq!(open_error(name, settings()).await.to_string(), message);
    }
    let long = "t".repeat(129);
    let message = "the table name has 129 characters, at most 128 are allowed";
    assert_eq!(open_error(&format!("e/p/{long}"), settings()).await.to_string(), message);
}

#[tokio::test]
async fn settings_are_refused_before_anything_is_sent() {
    let no_key = Settings { api_key: None, ..settings() };
    assert_eq!(
        open_error(NAME, no_key).await.to_string(),
        "there is no API key for mock.invalid: pass one, set WANDB_API_KEY, or put it into ~/.netrc"
    );
    for base_url in ["", "localhost:8080", "ftp://host", "http://user:secret@host"] {
        let error = open_error(NAME, Settings { base_url: base_url.into(), ..settings() }).await;
        assert!(matches!(error, OpenError::Address { .. }), "{base_url}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let empty_key = StreamTable::builder(NAME).settings(settings()).api_key("").open().await;
    assert!(matches!(empty_key, Err(OpenError::Key(_))), "{empty_key:?}");
}

#[tokio::test]
async fn a_missing_entity_without_a_login() {
    let config = MockConfig { default_entity: None, ..MockConfig::default() };
    let mock = MockBackend::new(config).unwrap();
    let opened = StreamTable::builder("shop/requests").settings(settings()).transport(mock.clone());
    assert_eq!(opened.open().await.unwrap_err(), OpenError::NoEntity);
    assert!(mock.tables().is_empty());
    // After a login, the server supplies the entity.
    let opened = StreamTable::builder("shop/requests").settings(settings());
    let table = opened.transport(MockBackend::default()).open().await.unwrap();
    assert_eq!(table.path().to_string(), NAME);
}

#[tokio::test]
async fn a_wrong_key() {
    let config = MockConfig { keys: Some(Vec::new()), ..MockConfig::default() };
    let mock = MockBackend::new(config).unwrap();
    let error = builder(&mock).open().await.unwrap_err().to_string();
    assert!(
        error.starts_with("cannot open the table: the server does not accept the API key"),
        "{error}"
    );
    assert!(!error.contains("local-key"), "{error}");
}

#[tokio::test]
async fn an_unreachable_host() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = StreamTable::builder(NAME)
        .settings(Settings { base_url: format!("http://127.0.0.1:{port}"), ..settings() })
        .transport(HyperTransport::new().unwrap())
        .open_timeout(Duration::from_millis(200))
        .open()
        .await
        .unwrap_err();
    let OpenError::Unavailable { reason, .. } = &error else { panic!("{error:?}") };
    assert!(reason.starts_with(&format!("cannot reach 127.0.0.1:{port}")), "{reason}");
}

/// Serializes as an integer, which is not a row.
#[derive(Serialize)]
struct NotARow(i32);

fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::from(1), |inner, _| vec![inner].into())
}

/// A file with an image's extension but no image.
fn false_image() -> Media {
    let path = std::env::temp_dir().join(format!("streamtable-{}.png", std::process::id()));
    std::fs::write(&path, "no image").unwrap();
    Media::from_path(MediaKind::Image, path).unwrap()
}

#[tokio::test]
async fn refused_rows_name_column_and_reason() {
    let mock = mock();
    let table = open(&mock).await;
    let good = || row! { "text" => "a", "list" => vec![1], "any" => () };
    table.log(good()).await.unwrap();

    let missing_file = Media::from_path(MediaKind::Image, "/nonexistent/x.png").unwrap();
    let bad = [
        (row! { "text" => "a", "list" => vec![1] }, Some("any"), r#"column "any" is missing"#),
        (good().with("more", 1), Some("more"), r#"column "more" is not one of the table's"#),
        (good().with("text", "b"), Some("text"), r#"column "text" appears twice"#),
        (
            row! { "text" => "a", "list" => vec![1], "any" => nested(65) },
            Some("any"),
            "nest deeper than 64",
        ),
        (
            row! { "text" => "a", "list" => vec![1], "any" => u64::MAX },
            Some("any"),
            "the integer 18446744073709551615 does not fit a signed 64-bit integer",
        ),
        (good().with("_timestamp", 1), Some("_timestamp"), "is reserved by the protocol"),
        (
            row! { "text" => "a", "list" => vec![1], "any" => false_image() },
            Some("any"),
            "these 8 bytes are not an image of a known format",
        ),
        (
            row! { "text" => "a", "list" => vec![1], "any" => missing_file },
            Some("any"),
            "cannot read /nonexistent/x.png",
        ),
        (
            row! { "text" => "x".repeat(10_383_360), "list" => vec![1], "any" => () },
            None,
            "at most 10383360 are allowed",
        ),
    ];
    for (row, column, message) in bad {
        let mut expected = table.stats();
        expected.refused += 1;
        let error = table.log(row.clone()).await.unwrap_err();
        let LogError { accepted: 0, refused, .. } = &error else { panic!("{error:?}") };
        let [refused] = &refused[..] else { panic!("{error:?}") };
        let named = match &refused.reason {
            Refusal::Schema(error) => error.column(),
            _ => None,
        };
        assert_eq!(named, column, "{error}");
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(refused.row.as_ref(), Some(&row), "the row is returned");
        assert_eq!(table.stats(), expected);
    }
    let error = table.log(&NotARow(7)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the row was refused: a row is a struct or a map of columns, not int"
    );

    // The refused rows neither changed the table nor reached the server.
    table.log(good()).await.unwrap();
    assert_eq!(table.finish().await.unwrap().acked, 2);
    assert_eq!(mock.rows(table.path()).len(), 2);
    mock.assert_no_violations();
}

#[tokio::test]
async fn log_after_finish() {
    let mock = mock();
    let table = open(&mock).await;
    table.log(row! { "n" => 1 }).await.unwrap();
    table.finish().await.unwrap();
    let rows = || vec![row! { "n" => 2 }, row! { "n" => 3 }];
    let error = table.clone().log(rows()).await.unwrap_err();
    let back: Vec<Row> = error.refused.iter().flat_map(|refused| refused.row.clone()).collect();
    assert_eq!(back, rows());
    assert!(error.refused.iter().all(|refused| refused.reason == Refusal::Finished));
    assert_eq!(table.finish().await.unwrap().logged, 1);
}

#[test]
fn invalid_images_fail_at_construction() {
    assert!(Media::image(&b"GIF8"[..]).is_err());
    assert!(Media::audio(&b""[..], "../x").is_err());
}
