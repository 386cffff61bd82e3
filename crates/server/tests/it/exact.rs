//! Large histories: an answer that a client takes as complete is complete.

use serde_json::{Value, json};

use crate::support::Running;

/// More rows than the server samples from when it looks at all of them.
const ROWS: usize = 300_000;

const ASYNC: (&str, &str) = ("x-wandb-use-async-filestream", "true");

/// The step of a row. Steps have gaps, so that they differ from positions.
fn step(i: usize) -> usize {
    2 * i
}

fn line(i: usize, has_step: bool) -> String {
    let rare = if i.is_multiple_of(10_007) { json!(i) } else { Value::Null };
    let mut line = json!({ "i": i, "_timestamp": 1.5 });
    if !rare.is_null() {
        line["rare"] = rare;
    }
    match has_step {
        true => line["_step"] = json!(step(i)),
        false => line["_client_id"] = json!("w"),
    }
    line.to_string()
}

/// Starts a server with two runs of [`ROWS`] rows: `steps` of the SDK, and the stream table `t`.
async fn start() -> Running {
    let server = Running::start().await;
    for (run, has_step) in [("steps", true), ("t", false)] {
        server.make_run("me", "p", run).await;
        for from in (0..ROWS).step_by(10_000) {
            let lines: Vec<String> = (from..from + 10_000).map(|i| line(i, has_step)).collect();
            let body = json!({ "files": { "wandb-history.jsonl": {
                "offset": from, "content": lines } } });
            let headers: &[_] = if has_step { &[] } else { &[ASYNC] };
            let answer = server.post(&format!("me/p/{run}"), headers, &body.to_string()).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
    server
}

async fn field(server: &Running, run: &str, field: &str, variables: Value) -> Value {
    let query = format!(
        "query Q($spec: JSONString = \"{{}}\") {{ project(name: \"p\", entityName: \"me\") {{
            run(name: \"{run}\") {{ answer: {field} }} }} }}"
    );
    server.ask(&query, variables).await["project"]["run"]["answer"].take()
}

async fn sample(server: &Running, run: &str, spec: Value) -> Vec<Value> {
    let variables = json!({ "spec": spec.to_string() });
    let mut lists = field(server, run, "sampledHistory(specs: [$spec])", variables).await;
    lists[0].as_array_mut().map(std::mem::take).unwrap_or_default()
}

fn numbers(rows: &[Value]) -> Vec<usize> {
    rows.iter().map(|row| row["i"].as_u64().unwrap() as usize).collect()
}

#[tokio::test]
async fn histories_above_the_sampling_limit_are_read_completely() {
    let server = start().await;
    for (run, per_step) in [("steps", 2), ("t", 1)] {
        // Pages of the current SDK, and of legacy clients with an exclusive bound.
        for (min, max) in [(0, 1000), (200_000, 201_000), (298_500, 299_500)] {
            let spec = json!({ "keys": ["i", "_step"], "minStep": min * per_step,
                "maxStep": max * per_step, "samples": 1000 * per_step });
            let rows = sample(&server, run, spec).await;
            assert_eq!(numbers(&rows), (min..max).collect::<Vec<_>>(), "{run} {min}..{max}");
            let history = format!(
                "history(minStep: {}, maxStep: {}, samples: 2000)",
                min * per_step,
                max * per_step
            );
            let lines = field(&server, run, &history, json!({})).await;
            assert_eq!(lines.as_array().unwrap().len(), max - min, "{run} {history}");
        }
        // Fewer rows than requested have the key: all are returned.
        let rare = sample(&server, run, json!({ "keys": ["rare", "i"], "samples": 500 })).await;
        let expected: Vec<_> = (0..ROWS).step_by(10_007).collect();
        assert_eq!(numbers(&rare), expected, "{run}");
        let range = json!({ "keys": ["rare", "i"], "samples": 500, "minStep": 10 });
        assert_eq!(numbers(&sample(&server, run, range).await), expected[1..], "{run}");
        // More rows have it: an even sample.
        let some = sample(&server, run, json!({ "keys": ["i"], "samples": 500 })).await;
        let some = numbers(&some);
        assert!(some.len() == 500 && some[0] == 0 && some[499] > ROWS - 2_000, "{some:?}");
        // A legacy client takes its rows from here.
        let live = "parquetHistory(liveKeys: [\"i\", \"_step\"]) { liveData parquetUrls }";
        let live = field(&server, run, live, json!({})).await;
        let rows = live["liveData"].as_array().unwrap();
        assert_eq!(numbers(rows), (0..ROWS).collect::<Vec<_>>());
        assert_eq!(rows[ROWS - 1]["_step"], json!((ROWS - 1) * per_step));
    }
}

#[tokio::test]
async fn rows_that_share_a_step_are_on_one_page() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let lines: Vec<String> =
        (0..6).map(|i| json!({ "i": i, "_step": i / 3 }).to_string()).collect();
    let body = json!({ "files": { "wandb-history.jsonl": { "offset": 0, "content": lines } } });
    assert_eq!(server.post("me/p/r", &[], &body.to_string()).await.status, 200);
    let lines = field(&server, "r", "history(minStep: 0, maxStep: 2, samples: 2)", json!({})).await;
    assert_eq!(lines.as_array().unwrap().len(), 6, "{lines}");
    let spec = json!({ "keys": ["i"], "minStep": 0, "maxStep": 2, "samples": 2 });
    assert_eq!(numbers(&sample(&server, "r", spec).await), [0, 1, 2, 3, 4, 5]);
}
