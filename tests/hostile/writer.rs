//! A writer that does nothing wrong, a probe, and the count of the writer's rows.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;

use crate::http::{Answer, Script, request, send};

/// How many rows are in one post.
const ROWS: u64 = 20;

/// How long one request of the writer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the probe waits for an answer.
const PROBE_PATIENCE: Duration = Duration::from_secs(30);

/// What became of the writer's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) acked: u64,
    pub(crate) retries: u64,
    /// The server's answer to a post that it refused permanently.
    pub(crate) refused: Option<String>,
}

/// Logs rows until it is stopped or refused; repeats a post until it is acknowledged.
pub(crate) async fn write(addr: SocketAddr, key: String, stop: watch::Receiver<bool>) -> Written {
    let mut written = Written::default();
    while !*stop.borrow() {
        let first = written.acked;
        let rows: String =
            (first..first + ROWS).map(|n| format!("{{\"n\":{n},\"s\":\"row {n}\"}}\n")).collect();
        let offset = first.to_string();
        let headers = [
            ("Stream-Writer", "well-behaved"),
            ("Stream-Offset", offset.as_str()),
            ("Content-Type", "application/x-ndjson"),
        ];
        let path = "/api/tables/me/p/good/rows";
        let post = request("POST", path, &key, &headers, rows.as_bytes());
        match send(addr, Script::once(post), PATIENCE).await {
            Answer::Status(200, _) => written.acked += ROWS,
            Answer::Status(status @ (400 | 401 | 403 | 404 | 409 | 413 | 422), body) => {
                let body = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
                written.refused = Some(format!("{status} {body}"));
                break;
            }
            _ => written.retries += 1,
        }
        sleep(Duration::from_millis(50)).await;
    }
    written
}

/// Counts the rows that a query finds: all, those with different numbers, those in their order.
pub(crate) async fn count(addr: SocketAddr, key: &str) -> Result<[u64; 3], String> {
    let sql = "select count(*), count(distinct n), count(*) filter (where n = _line) \
               from me.p.good";
    let body = serde_json::json!({ "sql": sql, "timeout": 60, "format": "csv" }).to_string();
    let headers = [("Content-Type", "application/json")];
    let query = request("POST", "/api/query", key, &headers, body.as_bytes());
    let mut last = String::new();
    for _ in 0..30 {
        let answer = send(addr, Script::once(query.clone()), Duration::from_secs(90)).await;
        let Answer::Status(200, body) = &answer else {
            last = match &answer {
                Answer::Status(status, body) => {
                    format!("{status} {}", String::from_utf8_lossy(&body[..body.len().min(300)]))
                }
                other => format!("{other:?}"),
            };
            // It may be short of memory still.
            sleep(Duration::from_secs(1)).await;
            continue;
        };
        let text = String::from_utf8_lossy(body);
        // The body may be chunked: the line of numbers is the one with commas.
        let is_numbers = |line: &&str| {
            line.contains(',') && line.bytes().all(|byte| byte.is_ascii_digit() || byte == b',')
        };
        let line = text.lines().find(is_numbers);
        let numbers: Vec<u64> =
            line.unwrap_or_default().split(',').filter_map(|n| n.trim().parse().ok()).collect();
        return <[u64; 3]>::try_from(numbers).map_err(|_| format!("no count: {text:?}"));
    }
    Err(format!("the rows cannot be counted: {last}"))
}

/// Asks for `/healthz` until it is stopped, and returns how long each answer took.
pub(crate) async fn probe(addr: SocketAddr, stop: watch::Receiver<bool>) -> Vec<Duration> {
    let mut times = Vec::new();
    while !*stop.borrow() {
        let started = Instant::now();
        let get = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let answer = send(addr, Script::once(get.to_vec()), PROBE_PATIENCE).await;
        times.push(match answer {
            Answer::Status(200, _) => started.elapsed(),
            _ => PROBE_PATIENCE,
        });
        sleep(Duration::from_millis(50)).await;
    }
    times
}
