//! Posts that are small but expensive to store, or that have unusual line numbers.

use serde_json::{Value, json};
use streamtable_store::LineNumber;

use crate::support::{Answer, Running, basic, send};

const ASYNC: [(&str, &str); 1] = [("x-wandb-use-async-filestream", "true")];

fn history(offset: u64, lines: &[Value]) -> String {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    let files = json!({ "wandb-history.jsonl": { "offset": offset, "content": lines } });
    json!({ "files": files }).to_string()
}

/// Posts rows, the first of which has the line number `offset`.
async fn post_rows(server: &Running, offset: u64, rows: &str) -> Answer {
    post_rows_of(server, "w", offset, rows).await
}

async fn post_rows_of(server: &Running, writer: &str, offset: u64, rows: &str) -> Answer {
    let (auth, offset) = (basic(&server.key), offset.to_string());
    let headers = [
        ("authorization", auth.as_str()),
        ("stream-writer", writer),
        ("stream-offset", offset.as_str()),
    ];
    let url = format!("{}/api/tables/me/p/t/rows", server.url);
    send("POST", &url, &headers, rows.to_owned()).await
}

/// Runs a query and returns the values of each row.
async fn query(server: &Running, sql: &str) -> Vec<Vec<Value>> {
    let auth = basic(&server.key);
    let headers = [("authorization", auth.as_str()), ("content-type", "application/json")];
    let body = json!({ "sql": sql, "format": "ndjson" }).to_string();
    let answer = send("POST", &format!("{}/api/query", server.url), &headers, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let row = |line: &str| -> Vec<Value> {
        let row: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        row.into_iter().map(|(_, value)| value).collect()
    };
    answer.text().lines().map(row).collect()
}

#[tokio::test]
async fn line_numbers_end_at_2_to_the_63() {
    let server = Running::start().await;
    let two = "{\"a\":1}\n{\"a\":2}";
    for offset in [LineNumber::END - 1, LineNumber::END, u64::MAX - 1, u64::MAX] {
        let refused = post_rows(&server, offset, two).await;
        assert_eq!(refused.status, 400, "{offset}: {}", refused.text());
        assert!(refused.text().contains("Stream-Offset"), "{offset}: {}", refused.text());
    }
    server.make_run("me", "p", "r").await;
    for (offset, count) in [(LineNumber::END - 1, 2), (LineNumber::END, 1), (u64::MAX, 1)] {
        let lines = vec![json!({ "a": 1 }); count];
        let refused = server.post("me/p/r", &ASYNC, &history(offset, &lines)).await;
        assert_eq!(refused.status, 400, "{offset}: {}", refused.text());
        assert!(refused.text().contains("wandb-history.jsonl"), "{offset}: {}", refused.text());
    }
    assert_eq!(server.get("/api/tables/me/p/t").await.status, 404, "a rejected row is stored");
    let last = [(1, 0), (0, 1)];
    for (stored, repeated) in last {
        let answer = post_rows(&server, LineNumber::END - 1, "{\"a\":3}").await.json();
        assert_eq!((&answer["stored"], &answer["repeated"]), (&json!(stored), &json!(repeated)));
    }
    let found = query(&server, "select _line from me.p.t where a = 3").await;
    assert_eq!(found, [[json!(i64::MAX)]]);
}

#[tokio::test]
async fn a_late_copy_of_a_plain_post_moves_no_row_after_a_restart() {
    let mut server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let post = async |server: &Running, n: u64, value: u64| {
        let posted = server.post("me/p/r", &[], &history(n, &[json!({ "n": value })])).await;
        assert_eq!(posted.status, 200, "{}", posted.text());
    };
    let order = async |server: &Running| -> Vec<Value> {
        query(server, "select n from me.p.r").await.into_iter().flatten().collect()
    };
    for n in 0..5 {
        post(&server, n, n).await;
    }
    let end = server.get("/api/tables/me/p/r").await.json()["end"].clone();
    for _ in 0..2 {
        server.restart().await;
        post(&server, 1, 1).await;
        assert_eq!(order(&server).await, [0, 1, 2, 3, 4]);
        // A tail that continues at the end receives no row.
        assert_eq!(server.get("/api/tables/me/p/r").await.json()["end"], end);
    }
    post(&server, 1, 7).await;
    assert_eq!(order(&server).await, [0, 2, 3, 4, 7]);
}

#[tokio::test]
async fn the_writer_of_the_plain_mode_cannot_be_named() {
    let mut server = Running::start().await;
    server.make_run("me", "p", "t").await;
    let plain = history(0, &[json!({ "n": 0 }), json!({ "n": 1 })]);
    let named = [ASYNC[0], ("x-wandb-async-client-id", "t")];
    for _ in 0..2 {
        assert_eq!(server.post("me/p/t", &[], &plain).await.json()["acked"], 2);
        let native = post_rows_of(&server, "t", 0, "{\"n\":7}").await;
        assert_eq!(native.status, 400, "{}", native.text());
        assert!(native.text().contains("Stream-Writer"), "{}", native.text());
        let other = server.post("me/p/t", &named, &history(0, &[json!({ "n": 8 })])).await;
        assert_eq!(other.status, 400, "{}", other.text());
        assert!(other.text().contains("x-wandb-async-client-id"), "{}", other.text());
        let line = json!({ "n": 9, "_client_id": "t" });
        let answer = server.post("me/p/t", &ASYNC, &history(0, &[line])).await.json();
        assert_eq!(answer["rejected"][0]["line"], 0, "{answer}");
        assert_eq!(query(&server, "select n from me.p.t").await, [[json!(0)], [json!(1)]]);
        server.restart().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_rows_of_a_wide_table_take_little_memory() {
    const COLUMNS: usize = 10_000;
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let mut wide: serde_json::Map<String, Value> =
        (0..COLUMNS).map(|i| (format!("c{i}"), json!(i))).collect();
    wide.insert("_client_id".to_owned(), json!("w"));
    let lines: Vec<Value> =
        (0..1000).map(|i| json!({ "c0": i, "_client_id": format!("w{}", i % 2) })).collect();
    let posts = async {
        for (offset, lines) in [(0, &[Value::Object(wide)][..]), (1, &lines)] {
            let posted = server.post("me/p/r", &ASYNC, &history(offset, lines)).await;
            assert_eq!(posted.status, 200, "{}", posted.text());
        }
    };
    let looks = async {
        loop {
            assert_eq!(server.get("/healthz").await.status, 200);
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = posts => {}
        () = looks => {}
    }
    let info = server.get("/api/tables/me/p/r").await.json();
    assert_eq!(info["rows"], 1001, "{:?}", info["rows"]);
    let bytes = info["bytes"].as_u64().unwrap();
    assert!(bytes < 16 << 20, "{bytes} bytes of memory");
    let found = query(&server, "select c9999, c1 + c2 from me.p.r where c9999 is not null").await;
    assert_eq!(found, [[json!(9999), json!(3)]]);
    let found = query(&server, "select count(*), sum(c0) from me.p.r where _writer = 'w1'").await;
    assert_eq!(found, [[json!(500), json!(250_000)]]);
}
