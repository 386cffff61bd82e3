//! Connections that only occupy places, and slow ones.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Running, basic};

/// How long anything may take. Less than the times below which connections are closed anyway.
const PATIENCE: Duration = Duration::from_secs(60);

const NEVER: Duration = Duration::from_secs(3600);

const ROWS: &str = r#"{"files":{"wandb-history.jsonl":{"offset":0,"content":["{\"a\":1}"]}}}"#;

async fn connect(server: &Running, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.host()).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// Returns all that comes until the connection ends.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // A connection that was closed while bytes were under way is reset.
    let _ = read.expect("the connection does not end");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Each of 1,100 connections sends one byte of a head. The default bound is 1,024 connections.
#[cfg(unix)]
#[tokio::test]
async fn slow_heads_keep_nobody_out() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();

    let server = Running::start_with(|config| {
        // Only making room helps.
        config.limits.header_timeout = NEVER;
        config.limits.idle_timeout = NEVER;
    })
    .await;
    server.make_run("me", "p", "r").await;
    let head = format!(
        "POST /files/me/p/r/file_stream HTTP/1.1\r\nhost: localhost\r\nauthorization: {}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        basic(&server.key),
        ROWS.len()
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
    // The request that was under way is not what had to go.
    under_way.write_all(ROWS.as_bytes()).await.unwrap();
    let answer = rest(under_way).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_head_has_its_own_time() {
    let server = Running::start_with(|config| {
        config.limits.header_timeout = Duration::from_millis(200);
        config.limits.idle_timeout = NEVER;
    })
    .await;
    let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n";
    let mut idle = connect(&server, "").await;
    assert_eq!(rest(connect(&server, "GET /healthz HTTP/1.1\r\n").await).await, "");
    // Between requests, too.
    let mut second = connect(&server, &format!("{request}\r\n")).await;
    let mut answer = [0; 12];
    second.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    second.write_all(request.as_bytes()).await.unwrap();
    assert!(!rest(second).await.contains("HTTP/1.1"));
    // One that has sent nothing is still open.
    idle.write_all(format!("{request}connection: close\r\n\r\n").as_bytes()).await.unwrap();
    assert!(rest(idle).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn idle_connections_end() {
    let server =
        Running::start_with(|config| config.limits.idle_timeout = Duration::from_millis(200)).await;
    assert_eq!(rest(connect(&server, "").await).await, "");
    let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    assert!(rest(connect(&server, request).await).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_that_pauses_ends_its_request() {
    let server =
        Running::start_with(|config| config.limits.body_timeout = Duration::from_millis(200)).await;
    server.make_run("me", "p", "r").await;
    let head = format!(
        "POST /files/me/p/r/file_stream HTTP/1.1\r\nhost: localhost\r\nauthorization: {}\r\n\
         content-length: 1000\r\n\r\n{{",
        basic(&server.key)
    );
    let answer = rest(connect(&server, &head).await).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
}
