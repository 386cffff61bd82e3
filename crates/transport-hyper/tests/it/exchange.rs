use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Version};
use streamtable_transport::{AttemptTimeout, Transport as _, TransportError, TransportExt as _};
use streamtable_transport_hyper::{HyperConfig, TokioTimer};
use wiremock::matchers::{body_string, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::script::{Server, Step};
use crate::{get, post, run, send, transport};

#[tokio::test]
async fn a_request_arrives_as_it_was_built() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/files/a"))
        .and(query_param("x", "1"))
        .and(header("x-wandb-username", "stacey"))
        .and(header("accept-encoding", "gzip"))
        .and(header("content-length", "4"))
        .and(body_string("rows"))
        .respond_with(ResponseTemplate::new(201).insert_header("x", "y").set_body_string("yes"))
        .expect(1)
        .mount(&server)
        .await;

    let mut request = post(format!("{}/files/a?x=1", server.uri()), "rows");
    request.headers_mut().insert("x-wandb-username", "stacey".parse().unwrap());
    let answer = transport(HyperConfig::default()).send(request).await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (201, &b"yes"[..]));
    assert_eq!(answer.headers()["x"], "y");
}

/// Sends one request per outcome, and checks which connection each of them used.
#[track_caller]
fn check(connections: Vec<Vec<Step>>, outcomes: &[&str], taken: &[usize]) {
    let found = run(async {
        let server = Server::start(connections).await;
        let config = HyperConfig { max_response_bytes: 100, ..HyperConfig::default() };
        let transport = transport(config);
        let mut found = Vec::new();
        for _ in outcomes {
            let outcome = send(&transport, post(server.url(), "rows")).await;
            found.push(outcome.replace(&server.address.to_string(), "HOST"));
            // Gives the client time to notice a closed connection.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (found, server.connections())
    });
    assert_eq!(found, (outcomes.iter().map(|&line| line.to_owned()).collect(), taken.to_vec()));
}

#[test]
fn every_status_is_a_response() {
    let status = |status: &str| Step::answer(status, &["location: http://x.invalid/"], b"text");
    let steps = vec![status("302 Found"), status("404 Not Found"), status("503 Busy")];
    check(vec![steps], &["302 text", "404 text", "503 text"], &[0, 0, 0]);
}

#[test]
fn connections_are_kept_and_replaced() {
    let ok = Step::ok("a");
    let close = Step::answer("200 OK", &["connection: close"], b"b");
    check(vec![vec![ok.clone(), ok.clone(), ok.clone()]], &["200 a"; 3], &[0, 0, 0]);
    check(vec![vec![close], vec![ok.clone()]], &["200 b", "200 a"], &[0, 1]);
    // The server closes the connection: noticed before anything is sent.
    check(vec![vec![ok.clone()], vec![ok]], &["200 a"; 2], &[0, 1]);
}

#[test]
fn a_request_that_was_sent_is_never_repeated() {
    let ok = Step::ok("a");
    let lost = "lost the connection to HOST before the response was complete: connection closed before message completed";
    check(vec![vec![Step::Read], vec![ok.clone()]], &[lost, "200 a"], &[0, 1]);
    // The same on a kept connection.
    check(vec![vec![ok.clone(), Step::Read], vec![ok]], &["200 a", lost], &[0, 0]);
}

#[test]
fn an_incomplete_response_is_an_error() {
    let cut = Step::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf");
    let lost = "lost the connection to HOST before the response was complete: ";
    let body = "error reading a body from connection: end of file before message length reached";
    check(vec![vec![cut]], &[&format!("{lost}{body}")], &[0]);
    let head = Step::raw("HTTP/1.1 200 OK\r\ncontent-le");
    check(vec![vec![head]], &[&format!("{lost}connection closed before message completed")], &[0]);
    let noise = Step::raw("SSH-2.0-OpenSSH_9.6\r\n\r\n");
    check(vec![vec![noise]], &[&format!("{lost}invalid HTTP version parsed")], &[0]);
}

#[test]
fn a_long_response_is_refused() {
    let too_long = "the response is longer than 100 bytes";
    let announced = Step::raw("HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n");
    check(vec![vec![announced]], &[too_long], &[0]);
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("3C\r\n{}\r\n", "x".repeat(60));
    check(vec![vec![Step::raw(&format!("{chunked}{chunk}{chunk}"))]], &[too_long], &[0]);
    let whole = format!("{chunked}{chunk}0\r\n\r\n");
    check(vec![vec![Step::raw(&whole)]], &[&format!("200 {}", "x".repeat(60))], &[0]);
}

#[tokio::test]
async fn an_early_response_is_returned_if_the_body_was_not_read() {
    let Step::Answer(answer) = Step::answer("413 Too Large", &["connection: close"], b"no") else {
        unreachable!()
    };
    let server = Server::start(vec![vec![Step::AnswerHead(answer), Step::Wait]]).await;
    let body = Bytes::from(vec![b'x'; 8 << 20]);
    let answer = send(&transport(HyperConfig::default()), post(server.url(), body)).await;
    assert_eq!(answer, "413 no");
}

#[tokio::test]
async fn unreachable_servers_are_reported() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let transport = transport(HyperConfig::default());
    let error = transport.send(get(format!("http://{address}/"))).await.unwrap_err();
    assert!(!error.may_have_arrived() && error.is_retryable(), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("cannot reach {address}: tcp connect error: ")), "{text}");
    let text = send(&transport, get("http://nowhere.invalid/")).await;
    assert!(text.starts_with("cannot reach nowhere.invalid: dns error: "), "{text}");
}

#[tokio::test]
async fn an_invalid_request_is_an_error() {
    let transport = transport(HyperConfig::default());
    for url in ["/graphql", "ftp://host/", "http://user:sesame@127.0.0.1/"] {
        let error = transport.send(get(url)).await.unwrap_err();
        assert!(matches!(error, TransportError::InvalidRequest { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_silent_server_causes_a_timeout() {
    let silent = vec![Step::Read, Step::Wait];
    let halting = vec![Step::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"), Step::Wait];
    let server = Server::start(vec![silent, halting, vec![Step::ok("a")]]).await;
    let short = Duration::from_millis(50);

    let config = HyperConfig { request_timeout: short, ..HyperConfig::default() };
    let patient = transport(config);
    let timeout = TransportError::Timeout { after: short };
    assert_eq!(patient.send(get(server.url())).await.unwrap_err(), timeout);
    assert_eq!(patient.send(get(server.url())).await.unwrap_err(), timeout);
    // The silent connection is not used again.
    assert_eq!(send(&patient, get(server.url())).await, "200 a");
    assert_eq!(server.connections(), [0, 1, 2]);
}

#[tokio::test]
async fn a_request_can_lower_the_timeout() {
    let server = Server::start(vec![vec![Step::Read, Step::Wait]; 2]).await;
    let short = Duration::from_millis(20);
    let mut request = get(server.url());
    request.extensions_mut().insert(AttemptTimeout(short));
    let transport = transport(HyperConfig::default());
    let timeout = TransportError::Timeout { after: short };
    assert_eq!(transport.send(request).await.unwrap_err(), timeout);

    let transport = transport.with_timeout(short, TokioTimer);
    assert_eq!(transport.send(get(server.url())).await.unwrap_err(), timeout);
}

/// A server that accepts the connection but never answers the TLS handshake.
#[tokio::test]
async fn connecting_has_its_own_timeout() {
    let server = Server::start(vec![vec![Step::Wait]]).await;
    let limit = Duration::from_millis(50);
    let transport = transport(HyperConfig { connect_timeout: limit, ..HyperConfig::default() });
    let error = transport.send(get(format!("https://{}/", server.address))).await.unwrap_err();
    let (host, reason) = (server.address.to_string(), "no connection within 50ms".to_owned());
    assert_eq!(error, TransportError::Unreachable { host, reason });
}

/// A connection is driven by the runtime that opened it, and that runtime is no longer running.
#[test]
fn each_runtime_has_its_own_connections() {
    let here = tokio::runtime::Runtime::new().unwrap();
    let server = here.block_on(Server::start(vec![vec![Step::ok("a"), Step::ok("b")]; 3]));
    let transport = Arc::new(transport(HyperConfig::default()));
    let asleep = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(asleep.block_on(send(&transport, get(server.url()))), "200 a");
    assert_eq!(here.block_on(send(&transport, get(server.url()))), "200 a");
    assert_eq!(asleep.block_on(send(&transport, get(server.url()))), "200 b");
    drop(asleep);
    assert_eq!(here.block_on(send(&transport, get(server.url()))), "200 b");
    assert_eq!(server.connections(), [0, 1, 0, 1]);
}

#[test]
fn sending_outside_a_runtime_is_an_error_and_not_a_panic() {
    let transport = transport(HyperConfig::default());
    let mut sending = transport.send(get("http://127.0.0.1/"));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(answer) = sending.as_mut().poll(&mut context) else {
        panic!("waits for a runtime")
    };
    assert_eq!(
        answer.unwrap_err().to_string(),
        "cannot send this request: there is no tokio runtime here"
    );
}

#[tokio::test]
async fn the_requested_http_version_is_ignored() {
    let server = Server::start(vec![vec![Step::ok("a")]]).await;
    let request = Request::get(server.url()).version(Version::HTTP_2).body(Bytes::new()).unwrap();
    assert_eq!(send(&transport(HyperConfig::default()), request).await, "200 a");
}
