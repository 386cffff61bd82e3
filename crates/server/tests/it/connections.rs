//! Idle connections that occupy places, and slow connections.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Running, basic};

/// Timeout of each step. Shorter than the server timeouts that would close connections anyway.
const PATIENCE: Duration = Duration::from_secs(60);

const NEVER: Duration = Duration::from_secs(3600);

const ROW: &str = r#"{"a":1}"#;

async fn connect(server: &Running, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.host()).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// Returns everything received until the connection ends.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // A connection that is closed while data is in flight is reset.
    let _ = read.expect("the connection does not end");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Each of 1,100 connections sends one byte of a head. The default bound is 1,024 connections.
#[cfg(unix)]
#[tokio::test]
async fn slow_heads_do_not_block_new_clients() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();

    let server = Running::start_with(|config| {
        // Only eviction can free a place in this test.
        config.limits.header_timeout = NEVER;
        config.limits.idle_timeout = NEVER;
    })
    .await;
    let head = format!(
        "POST /api/tables/me/p/r/rows HTTP/1.1\r\nhost: localhost\r\nauthorization: {}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        basic(&server.key),
        ROW.len()
    );
    let mut under_way = connect(&server, &head).await;
    let mut slow = Vec::new();
    for _ in 0..1_100 {
        slow.push(connect(&server, "G").await);
    }
    for _ in 0..10 {
        let answer = timeout(PATIENCE, server.get("/healthz")).await;
        assert_eq!(answer.expect("a new client is not served").status, 200);
    }
    // The running request was not evicted.
    under_way.write_all(ROW.as_bytes()).await.unwrap();
    let answer = rest(under_way).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn heads_have_their_own_timeout() {
    let server = Running::start_with(|config| {
        config.limits.header_timeout = Duration::from_millis(200);
        config.limits.idle_timeout = NEVER;
    })
    .await;
    let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n";
    let mut idle = connect(&server, "").await;
    assert_eq!(rest(connect(&server, "GET /healthz HTTP/1.1\r\n").await).await, "");
    // Idle connections between two requests, too.
    let mut second = connect(&server, &format!("{request}\r\n")).await;
    let mut answer = [0; 12];
    second.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    second.write_all(request.as_bytes()).await.unwrap();
    assert!(!rest(second).await.contains("HTTP/1.1"));
    // A connection that has sent nothing is still open.
    idle.write_all(format!("{request}connection: close\r\n\r\n").as_bytes()).await.unwrap();
    assert!(rest(idle).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let server =
        Running::start_with(|config| config.limits.idle_timeout = Duration::from_millis(200)).await;
    assert_eq!(rest(connect(&server, "").await).await, "");
    let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    assert!(rest(connect(&server, request).await).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_stalled_body_fails_its_request() {
    let server =
        Running::start_with(|config| config.limits.body_timeout = Duration::from_millis(200)).await;
    let head = format!(
        "POST /api/tables/me/p/r/rows HTTP/1.1\r\nhost: localhost\r\nauthorization: {}\r\n\
         content-length: 1000\r\n\r\n{{",
        basic(&server.key)
    );
    let answer = rest(connect(&server, &head).await).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
}
