//! The server's suite over a `tower` service as a transport.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use streamtable::row;
use streamtable_mock_backend::MockBackend;
use streamtable_mock_backend::conformance::{self, Target};
use streamtable_transport::{ApiKey, ServiceTransport, Transport, TransportError, TransportExt};
use tower_service::Service;

use crate::support::{RuntimeTimer, builder, mock};

/// A mock as a service.
#[derive(Clone)]
struct MockService(MockBackend);

impl Service<Request<Bytes>> for MockService {
    type Response = Response<Full<Bytes>>;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, TransportError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let mock = self.0.clone();
        Box::pin(async move { Ok(mock.send(request).await?.map(Full::new)) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_conforms_as_a_transport() {
    let key: ApiKey = "local-key".parse().unwrap();
    let mock = mock();
    mock.set_keys(Some(vec![(key.clone(), "me".to_owned())]));
    let target = Target {
        transport: ServiceTransport::new(MockService(mock.clone()), RuntimeTimer).erased(),
        base_url: mock.base_url().to_owned(),
        key,
        prefix: "suite".into(),
    };
    for case in conformance::cases() {
        let run = tokio::time::timeout(Duration::from_secs(20), case.run(&target)).await;
        run.unwrap_or_else(|_| panic!("{} hangs", case.name)).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_is_logged_over_a_service() {
    let mock = mock();
    let service = ServiceTransport::new(MockService(mock.clone()), RuntimeTimer);
    let table = builder(&mock).transport(service).open().await.unwrap();
    table.log(row! { "n" => 1 }).await.unwrap();
    assert_eq!(table.finish().await.unwrap().acked, 1);
    mock.assert_no_violations();
}
