//! Tests [`HyperTransport`] against a real server, a real proxy and network faults.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

mod exchange;
mod gzip;
mod proxy;
mod script;
mod secrets;
mod tls;

use ::http::{Request, Response};
use bytes::Bytes;
use streamtable_transport::{Transport as _, TransportError};
use streamtable_transport_hyper::{HyperConfig, HyperTransport};

type Answer = Result<Response<Bytes>, TransportError>;

fn transport(config: HyperConfig) -> HyperTransport {
    HyperTransport::with_config(config).unwrap()
}

fn get(url: impl AsRef<str>) -> Request<Bytes> {
    Request::get(url.as_ref()).body(Bytes::new()).unwrap()
}

fn post(url: impl AsRef<str>, body: impl Into<Bytes>) -> Request<Bytes> {
    Request::post(url.as_ref()).body(body.into()).unwrap()
}

/// Formats a response as one line: its status and body, or its error.
fn shown(answer: Answer) -> String {
    match answer {
        Ok(answer) => {
            let status = answer.status().as_u16();
            format!("{status} {}", String::from_utf8_lossy(answer.body())).trim_end().to_owned()
        }
        Err(error) => error.to_string(),
    }
}

async fn send(transport: &HyperTransport, request: Request<Bytes>) -> String {
    shown(transport.send(request).await)
}

fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test)
}
