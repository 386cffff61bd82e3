//! The mock on a socket, with somebody else's HTTP client.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::Response;
use async_trait::async_trait;
use streamtable_transport::TransportExt;

use super::suite::{key, strict_config};
use super::*;
use crate::conformance::{self, Target};
use crate::{Fault, Loss, NoAck, RequestKind, Served, SleepTimer};

/// A transport that blocks.
#[derive(Debug)]
struct Blocking(ureq::Agent);

impl Blocking {
    fn new(timeout: Duration) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
        Self(config.timeout_global(Some(timeout)).build().into())
    }
}

#[async_trait]
impl Transport for Blocking {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let failed = |error: ureq::Error| match error {
            ureq::Error::Timeout(_) => TransportError::Timeout { after: Duration::ZERO },
            error => TransportError::Interrupted { host: String::new(), reason: error.to_string() },
        };
        let answer = match *request.method() {
            Method::GET => self.0.run(request.map(|_| ())),
            _ => self.0.run(request.map(|body| body.to_vec())),
        };
        let (parts, mut body) = answer.map_err(failed)?.into_parts();
        let body = body.with_config().limit(1 << 30).read_to_vec().map_err(failed)?;
        Ok(Response::from_parts(parts, body.into()))
    }
}

fn serve(mock: &MockBackend) -> Served {
    mock.serve("127.0.0.1:0").unwrap()
}

#[test]
fn the_suite_passes_over_a_socket() {
    let mock = MockBackend::new(strict_config()).unwrap();
    let served = serve(&mock);
    let transport = Blocking::new(Duration::from_secs(60)).erased();
    let (base_url, prefix) = (served.base_url(), "socket".to_owned());
    let target = Target { transport, base_url, key: key(), prefix };
    assert_eq!(ready(conformance::run_all(&target)), []);
}

/// Says hello under a fault, to a client that waits for half a second.
#[track_caller]
fn check(fault: Fault, expected: &str) {
    let timer: Option<Arc<dyn streamtable_transport::Timer>> = Some(Arc::new(SleepTimer));
    let mock = MockBackend::new(MockConfig { timer, ..MockConfig::default() }).unwrap();
    let served = serve(&mock);
    mock.push_fault(RequestKind::Graphql, fault.clone()).unwrap();
    let transport = Blocking::new(Duration::from_millis(500));
    let hello = || {
        let body = request_body(&streamtable_wire::graphql::WhoAmI {});
        let request = Request::post(format!("{}/graphql", served.base_url()))
            .header("authorization", "Basic YXBpOmtleQ==")
            .header("content-type", "application/json")
            .body(Bytes::from(body));
        match ready(transport.send(request.unwrap())) {
            Ok(answer) => answer.status().as_u16().to_string(),
            Err(TransportError::Timeout { .. }) => "timeout".to_owned(),
            Err(_) => "interrupted".to_owned(),
        }
    };
    assert_eq!(hello(), expected, "{fault}");
    assert_eq!(hello(), "200", "after {fault}");
    mock.assert_no_violations();
}

#[test]
fn faults_on_a_socket() {
    check(Fault::LoseRequest(Loss::Interrupted), "interrupted");
    check(Fault::LoseRequest(Loss::Timeout), "timeout");
    check(Fault::LoseAnswer(Loss::Interrupted), "interrupted");
    check(Fault::LoseAnswer(Loss::Timeout), "timeout");
    check(Fault::Late, "timeout");
    check(Fault::CutBody, "interrupted");
    check(Fault::Duplicate, "200");
    check(Fault::Unreachable, "503");
    check(Fault::status(429), "429");
    check(Fault::HtmlErrorPage, "502");
    check(Fault::Redirect, "307");
    check(Fault::NoAck(NoAck::Page), "200");
    check(Fault::NoAck(NoAck::NoContent), "204");
    check(Fault::NoAck(NoAck::Empty), "200");
    check(Fault::NoAck(NoAck::Truncated), "200");
    check(Fault::Delay(Duration::from_millis(10)), "200");
    check(Fault::Delay(Duration::from_millis(1000)), "timeout");
}

#[test]
fn a_connection_serves_many_requests_and_upload_urls_name_the_host() {
    let mock = MockBackend::default();
    let served = serve(&mock);
    let mut stream = TcpStream::connect(served.address()).unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /nowhere HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
        let mut answer = [0; 1024];
        let length = stream.read(&mut answer).unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 404 Not Found\r\n"));
    }
    assert_eq!(mock.count(RequestKind::Other), 3);
}

#[test]
fn a_drop_is_bounded() {
    let mock = MockBackend::default();
    let served = serve(&mock);
    let address = served.address();
    let mut idle = TcpStream::connect(address).unwrap();
    mock.push_fault(RequestKind::Other, Fault::LoseAnswer(Loss::Timeout)).unwrap();
    let mut silent = TcpStream::connect(address).unwrap();
    silent.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
    while mock.journal().is_empty() {
        std::thread::yield_now();
    }

    let start = Instant::now();
    drop(served);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(idle.read(&mut [0; 1]).unwrap_or(0), 0);
    assert_eq!(silent.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(TcpStream::connect(address).is_err());
}
