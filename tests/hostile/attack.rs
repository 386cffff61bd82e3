//! Attackers: each sends one hostile request after the other.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::generator::Generator;
use crate::http::{Answer, Script, request, send};
use crate::tally::Tally;
use crate::{graphql, live, rows, sql};

/// How long an answer may take. A query may take as long as it says, which is 5 s.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a live page is left open.
const LIVE_PATIENCE: Duration = Duration::from_secs(3);

/// Sends hostile requests until it is stopped.
pub(crate) async fn attack(
    addr: SocketAddr,
    key: String,
    seed: u64,
    tally: Arc<Mutex<Tally>>,
    stop: watch::Receiver<bool>,
) {
    let mut random = Generator::new(seed);
    while !*stop.borrow() {
        let Attack { kind, script, what } = choose(&mut random, &key);
        let started = Instant::now();
        let patience = if kind == "live" { LIVE_PATIENCE } else { PATIENCE };
        let end = match send(addr, script, patience).await {
            Answer::Status(status, _) => status.to_string(),
            Answer::Closed => "closed".to_owned(),
            Answer::Late => "late".to_owned(),
            Answer::Refused => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                "refused".to_owned()
            }
        };
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.add(kind, end, started.elapsed(), &what);
    }
}

struct Attack {
    kind: &'static str,
    script: Script,
    /// How it begins, for people.
    what: String,
}

fn choose(random: &mut Generator, key: &str) -> Attack {
    let json = [("Content-Type", "application/json")];
    let post = |path: &str, headers: &[(&str, &str)], body: &[u8]| {
        Script::once(request("POST", path, key, headers, body))
    };
    let (kind, script, what) = match random.below(12) {
        0..4 => {
            let sql = sql::query(random);
            let body = serde_json::json!({ "sql": sql, "timeout": 5 }).to_string();
            ("sql", post("/api/query", &json, body.as_bytes()), sql.into_bytes())
        }
        4..6 => {
            let body = graphql::body(random);
            ("graphql", post("/graphql", &json, &body), body)
        }
        6..8 => {
            let body = rows::body(random);
            ("rows", post("/api/tables/me/p/bad/rows", &[], &body), body)
        }
        8 => {
            let body = rows::file_stream(random);
            let path = "/files/me/p/run/file_stream";
            ("stream", post(path, &json, &body), body)
        }
        9 => {
            let mut frames = live::handshake(key);
            let frame = live::frame(random);
            frames.extend(&frame);
            ("live", Script::once(frames), frame)
        }
        10 => {
            let expression = sql::expression(random);
            let body = serde_json::json!({
                "format": "csv",
                "config": { "expressions": { "e": expression }, "columns": ["e"] },
            });
            let path = "/api/tables/me/p/t/export";
            ("export", post(path, &json, body.to_string().as_bytes()), expression.into_bytes())
        }
        _ => {
            let script = http(random, key);
            let what = script.pieces.first().map(|(_, bytes)| bytes.clone()).unwrap_or_default();
            ("http", script, what)
        }
    };
    let what = String::from_utf8_lossy(&what[..what.len().min(60)]).into_owned();
    Attack { kind, script, what }
}

/// Chooses a request that is wrong as HTTP, or slow.
fn http(random: &mut Generator, key: &str) -> Script {
    let second = Duration::from_secs(1);
    let head = |rest: &str| {
        format!(
            "POST /api/tables/me/p/bad/rows HTTP/1.1\r\nHost: localhost\r\nConnection: \
             close\r\nAuthorization: Bearer {key}\r\n{rest}"
        )
        .into_bytes()
    };
    let row = b"{\"x\":1}\n".to_vec();
    match random.below(12) {
        // A head that does not end, and one that is long.
        0 => {
            Script { pieces: vec![(Duration::ZERO, head("")), (second, Vec::new())], leaves: true }
        }
        1 => Script::once(head(&format!("X: {}\r\n\r\n", "x".repeat(1 << 20)))),
        2 => Script::once(head(&("X-Y: z\r\n".repeat(5_000) + "\r\n"))),
        3 => Script::once((0..random.below(2_000)).map(|_| random.below(256) as u8).collect()),
        // A body that does not come, or comes slowly.
        4 => Script {
            pieces: vec![
                (Duration::ZERO, head("Content-Length: 100000\r\n\r\n")),
                (second, row.clone()),
                (second, row),
            ],
            leaves: true,
        },
        5 => Script::once(head("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
        6 => Script::once(head("Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde")),
        7 => Script::once(head("Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx")),
        8 => {
            let bomb = rows::bomb(256);
            let headers =
                format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len());
            Script::once([head(&headers), bomb].concat())
        }
        9 => Script::once(request("GET", &format!("/{}", "a/".repeat(30_000)), key, &[], b"")),
        10 => {
            let path = "/api/tables/me/p/t/tail?from=18446744073709551615";
            Script { leaves: true, ..Script::once(request("GET", path, key, &[], b"")) }
        }
        _ => {
            let path = "/api/tables/me/p/t/rows?limit=18446744073709551615&from=-1";
            Script::once(request("GET", path, key, &[], b""))
        }
    }
}
