//! The server's suite over this transport.
#![expect(clippy::unwrap_used, reason = "a test that cannot continue must fail")]

use std::time::Duration;

use streamtable::read::Reader;
use streamtable::{Row, Settings, StreamTable, row};
use streamtable_mock_backend::conformance::{self, Target};
use streamtable_mock_backend::{MockBackend, MockConfig};
use streamtable_transport::{ApiKey, TransportError, TransportExt};
use streamtable_transport_reqwest::ReqwestTransport;

fn transport() -> ReqwestTransport {
    ReqwestTransport::new(reqwest::Client::builder().no_proxy()).unwrap()
}

#[tokio::test]
async fn the_transport_conforms() {
    let key: ApiKey = "local-key".parse().unwrap();
    let keys = Some(vec![(key.clone(), "me".to_owned())]);
    let mock = MockBackend::new(MockConfig { keys, ..MockConfig::default() }).unwrap();
    let server = mock.serve("127.0.0.1:0").unwrap();
    let (transport, base_url) = (transport().erased(), server.base_url());
    let target = Target { transport, base_url, key, prefix: "suite".into() };
    for case in conformance::cases() {
        let run = tokio::time::timeout(Duration::from_secs(20), case.run(&target)).await;
        run.unwrap_or_else(|_| panic!("{} hangs", case.name)).unwrap();
    }
}

#[tokio::test]
async fn rows_are_logged_and_read() {
    let mock = MockBackend::default();
    let server = mock.serve("127.0.0.1:0").unwrap();
    let settings = Settings {
        base_url: server.base_url(),
        api_key: Some("local-key".parse().unwrap()),
        ..Settings::default()
    };
    let builder = StreamTable::builder("me/shop/requests").settings(settings.clone());
    let table = builder.transport(transport()).print_url(false).open().await.unwrap();
    table.log((0..2000).map(|n| row! { "n" => n })).await.unwrap();
    table.finish().await.unwrap();
    let reader = Reader::new(transport(), settings).unwrap();
    let rows: Vec<Row> = reader.scan("shop/requests").rows().await.unwrap().all().await.unwrap();
    assert_eq!((rows.len(), rows[1999]["n"].as_i64()), (2000, Some(1999)));
    mock.assert_no_violations();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    use streamtable_transport::Transport as _;

    let request = http::Request::get("http://127.0.0.1:9/?signature=sesame");
    let error = transport().send(request.body(bytes::Bytes::new()).unwrap()).await.unwrap_err();
    assert!(matches!(error, TransportError::Unreachable { .. }), "{error:?}");
    assert!(!error.to_string().contains("sesame"), "{error}");
}
