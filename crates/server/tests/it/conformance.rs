//! The suite that any W&B-compatible backend must pass.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use streamtable_mock_backend::conformance::{self, Target};
use streamtable_transport::{ApiKey, Transport, TransportError, TransportExt};
use streamtable_transport_hyper::HyperTransport;
use streamtable_wire::graphql::{WhoAmI, request_body};
use streamtable_wire::{GRAPHQL_PATH, states_coverage};

use crate::proxy::{Fault, Proxy};
use crate::support::Running;

#[tokio::test]
async fn the_server_conforms() {
    let server = Running::start().await;
    let target = Target {
        transport: HyperTransport::new().unwrap().erased(),
        base_url: server.url.clone(),
        key: ApiKey::new(server.key.clone()).unwrap(),
        prefix: "suite".into(),
    };
    assert_eq!(conformance::run_all(&target).await, []);
}

/// The suite asks that of no backend; clients of this one require it.
#[tokio::test]
async fn the_server_announces_that_its_answers_state_what_they_cover() {
    let server = Running::start().await;
    let request = Request::post(format!("{}{GRAPHQL_PATH}", server.url))
        .header("authorization", format!("Bearer {}", server.key))
        .header("content-type", "application/json")
        .body(Bytes::from(request_body(&WhoAmI {})));
    let answer = HyperTransport::new().unwrap().send(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(states_coverage(&answer), "{:?}", answer.headers());
}

/// Sends a request again until it is answered, as a client does.
#[derive(Debug)]
struct Stubborn(HyperTransport);

#[async_trait]
impl Transport for Stubborn {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let mut last = None;
        for _ in 0..8 {
            match self.0.send(request.clone()).await {
                Ok(answer) if !answer.status().is_server_error() && !is_page(&answer) => {
                    return Ok(answer);
                }
                answer => last = Some(answer),
            }
        }
        last.unwrap()
    }
}

fn is_page(answer: &Response<Bytes>) -> bool {
    answer.body().starts_with(b"<html>")
}

/// What is lost on the way and comes again is stored once: the suite finds the same rows.
#[tokio::test]
async fn it_conforms_when_things_get_lost() {
    let server = Running::start().await;
    let proxy = Proxy::start(server.host(), |number, _| match number % 8 {
        1 => Fault::LoseAnswer,
        3 => Fault::Busy,
        4 => Fault::LoseRequest,
        6 => Fault::Twice,
        7 => Fault::Page,
        _ => Fault::None,
    })
    .await;
    let target = Target {
        transport: Stubborn(HyperTransport::new().unwrap()).erased(),
        base_url: proxy.url.clone(),
        key: ApiKey::new(server.key.clone()).unwrap(),
        prefix: "lossy".into(),
    };
    assert_eq!(conformance::run_all(&target).await, []);
    assert!(proxy.count() > 500, "{}", proxy.count());
}
