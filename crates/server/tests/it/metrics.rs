//! Figures for those who operate the server.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::{Answer, Running, basic, send};

/// Returns the value of each sample. Checks the rules of the format: each sample has a type and a
/// description, and its name ends as its type requires.
#[track_caller]
fn samples(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut types, mut described) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, ty) = rest.split_once(' ').unwrap();
            types.insert(name.to_owned(), ty.to_owned());
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            described.push(rest.split_once(' ').unwrap().0.to_owned());
        } else if !line.starts_with('#') {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            samples.insert(sample.to_owned(), value.parse().unwrap());
            let name = sample.split('{').next().unwrap();
            let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
                let name = name.strip_suffix(end)?;
                (types.get(name).map(String::as_str) == Some("histogram")).then_some(name)
            });
            let family = of_histogram.unwrap_or(name);
            let ty = types.get(family).unwrap_or_else(|| panic!("no type: {line}"));
            assert!(described.iter().any(|it| it == family), "no description: {line}");
            assert_eq!(ty == "counter", family.ends_with("_total"), "{line}");
            assert!(name.starts_with("streamtable_"), "{line}");
        }
    }
    samples
}

async fn metrics(server: &Running) -> BTreeMap<String, f64> {
    let answer = server.get("/metrics").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    samples(&answer.text())
}

async fn query(server: &Running, sql: &str) -> Answer {
    let headers = [("authorization", &*basic(&server.key)), ("content-type", "application/json")];
    let body = json!({ "sql": sql }).to_string();
    send("POST", &format!("{}/api/query", server.url), &headers, body).await
}

#[tokio::test]
async fn rows_queries_and_requests_are_counted() {
    let server = Running::start().await;
    let before = metrics(&server).await;
    assert_eq!(before["streamtable_tables"], 0.0);
    server.append("me/secret-project/t", "{\"a\":1}\n{\"a\":2}\n{\"a\":3}").await;
    let url = format!("{}/api/tables/me/secret-project/t/rows", server.url);
    let writer =
        [("authorization", &*basic(&server.key)), ("stream-writer", "w"), ("stream-offset", "0")];
    for _ in 0..2 {
        assert_eq!(send("POST", &url, &writer, "{\"a\":4}").await.status, 200);
    }
    assert_eq!(query(&server, "select a from \"me/secret-project/t\"").await.status, 200);
    assert_eq!(query(&server, "select nothing from nowhere").await.status, 400);
    assert_eq!(server.get("/elsewhere/a/b/c/d").await.status, 404);

    let answer = server.get("/metrics").await.text();
    let after = samples(&answer);
    #[track_caller]
    fn check(samples: &BTreeMap<String, f64>, name: &str, expected: f64) {
        let found = samples.get(name).unwrap_or_else(|| panic!("no {name} in {samples:#?}"));
        assert_eq!(*found, expected, "{name}");
    }
    check(&after, "streamtable_tables", 1.0);
    check(&after, "streamtable_stored_rows", 4.0);
    check(&after, "streamtable_rows_total{outcome=\"stored\"}", 4.0);
    check(&after, "streamtable_rows_total{outcome=\"repeated\"}", 1.0);
    check(&after, "streamtable_rows_received_bytes_total", 35.0);
    check(&after, "streamtable_append_duration_seconds_count", 3.0);
    check(&after, "streamtable_append_failures_total", 0.0);
    check(&after, "streamtable_queries_total{outcome=\"complete\"}", 1.0);
    check(&after, "streamtable_queries_total{outcome=\"refused\"}", 1.0);
    check(&after, "streamtable_queries_running", 0.0);
    // This request has no answer yet.
    check(&after, "streamtable_http_requests_running", 1.0);
    let requests = |route: &str, status| {
        let method = if route == "/api/query" { "POST" } else { "GET" };
        format!(
            "streamtable_http_requests_total{{method=\"{method}\",route=\"{route}\",\
             status=\"{status}\"}}"
        )
    };
    check(&after, &requests("/api/query", 200), 1.0);
    check(&after, &requests("/api/query", 400), 1.0);
    check(&after, &requests("/metrics", 200), 1.0);
    check(&after, "streamtable_problems{kind=\"file_lost\"}", 0.0);
    // A row that is repeated is not written again.
    check(&after, "streamtable_log_syncs_total", 2.0);
    assert!(
        after["streamtable_memtable_bytes"] > 0.0 && after["streamtable_disk_free_bytes"] > 0.0
    );
    assert!(after["streamtable_memory_used_bytes"] < after["streamtable_memory_limit_bytes"]);
    // Neither names of tables nor paths that a client chose.
    assert!(!answer.contains("secret") && !answer.contains("elsewhere"), "{answer}");
}

#[tokio::test]
async fn figures_need_a_key_and_have_two_forms() {
    let server = Running::start().await;
    let url = format!("{}/metrics", server.url);
    assert_eq!(send("GET", &url, &[], "").await.status, 401);
    let headers = [
        ("authorization", &*basic(&server.key)),
        ("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"),
    ];
    let open = send("GET", &url, &headers, "").await;
    assert_eq!(
        open.header("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let text = open.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert!(text.contains("# UNIT streamtable_append_duration_seconds seconds"), "{text}");
}

/// A query that its caller does not read to the end is neither complete nor refused.
#[tokio::test]
async fn a_query_without_a_reader_is_cancelled() {
    let server = Running::start().await;
    server.append("me/p/t", "{\"a\":1}").await;
    let sql = "select count(*) from generate_series(1, 100000) a join generate_series(1, 100000) b \
               on a.value % 7 = b.value % 5";
    let asked = tokio::time::timeout(std::time::Duration::from_millis(300), query(&server, sql));
    assert!(asked.await.is_err());
    let cancelled = "streamtable_queries_total{outcome=\"cancelled\"}";
    for _ in 0..200 {
        let found = metrics(&server).await;
        if found.get(cancelled) == Some(&1.0) {
            assert_eq!(found["streamtable_queries_running"], 0.0);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the query was not cancelled");
}

#[tokio::test]
async fn responses_have_the_id_of_their_request() {
    let server = Running::start().await;
    let health = format!("{}/healthz", server.url);
    let own = send("GET", &health, &[("x-request-id", "abc-1")], "").await;
    assert_eq!(own.header("x-request-id"), "abc-1");
    let made = [&[][..], &[("x-request-id", "a b")]];
    let mut ids = Vec::new();
    for headers in made {
        ids.push(send("GET", &health, headers, "").await.header("x-request-id").to_owned());
    }
    assert!(ids.iter().all(|id| id.len() == 32) && ids[0] != ids[1], "{ids:?}");
    // Refused requests have one, too.
    let refused = send("GET", &health, &[("host", "evil.example")], "").await;
    assert_eq!((refused.status, refused.header("x-request-id").len()), (403, 32));
}
