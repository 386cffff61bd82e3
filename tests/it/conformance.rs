//! The conformance suite over a real socket, through the default transport.

use std::time::Duration;

use streamtable_mock_backend::conformance::{self, Target};
use streamtable_mock_backend::{MockBackend, MockConfig};
use streamtable_transport::{ApiKey, TransportExt};
use streamtable_transport_hyper::HyperTransport;

#[tokio::test]
async fn the_served_mock_conforms() {
    let key: ApiKey = "local-key".parse().unwrap();
    let keys = Some(vec![(key.clone(), "me".to_owned())]);
    let mock = MockBackend::new(MockConfig { keys, ..MockConfig::default() }).unwrap();
    let server = mock.serve("127.0.0.1:0").unwrap();
    let target = Target {
        transport: HyperTransport::new().unwrap().erased(),
        base_url: server.base_url(),
        key,
        prefix: "suite".into(),
    };
    for case in conformance::cases() {
        let run = tokio::time::timeout(Duration::from_secs(20), case.run(&target)).await;
        run.unwrap_or_else(|_| panic!("{} hangs", case.name)).unwrap();
    }
}
