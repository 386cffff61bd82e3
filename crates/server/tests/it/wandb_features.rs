//! What W&B clients expect beside rows: deletions, refusals, states, and pages.

use serde_json::{Value, json};
use streamtable_server::Right;

use crate::support::{Running, basic, send};

const SHARED: [(&str, &str); 2] =
    [("x-wandb-use-async-filestream", "true"), ("x-wandb-async-client-id", "w1")];

fn row(i: u32) -> String {
    json!({ "files": { "wandb-history.jsonl": { "offset": i, "content": [
        json!({ "i": i, "_step": i }).to_string()] } } })
    .to_string()
}

/// Returns the first error of a request.
async fn refusal(server: &Running, query: &str, variables: Value) -> String {
    let answer = server.ask_as(&server.key, query, variables).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let message = answer.json()["errors"][0]["message"].take();
    message.as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
}

async fn run_field(server: &Running, run: &str, field: &str) -> Value {
    let query = format!(
        "{{ project(name: \"p\", entityName: \"me\") {{ run(name: \"{run}\") {{ x: {field} }} }} }}"
    );
    server.ask(&query, json!({})).await["project"]["run"]["x"].take()
}

#[tokio::test]
async fn missing_mutations_are_errors() {
    let server = Running::start().await;
    for (mutation, reason) in [
        ("linkArtifact(input: {}) { versionIndex }", "no registry"),
        ("rewindRun(input: {}) { rewoundRun { id } }", "cannot rewind"),
        ("deleteRun(input: {}) { clientMutationId }", "append-only"),
        ("upsertSweep(input: {}) { sweep { name } }", "no sweeps"),
        ("inventedLater(input: {}) { success }", "nothing was changed"),
    ] {
        let said = refusal(&server, &format!("mutation M {{ {mutation} }}"), json!({})).await;
        assert!(said.contains(reason), "{mutation}: {said}");
    }
}

#[tokio::test]
async fn defaults_of_variables_apply_to_conditions() {
    let server = Running::start().await;
    let query = "query Q($yes: Boolean = true, $no: Boolean = false) { viewer {
        a: username @include(if: $yes) b: username @skip(if: $no) c: username @skip(if: $yes) } }";
    let viewer = server.ask(query, json!({})).await["viewer"].take();
    assert_eq!(viewer, json!({ "a": "me", "b": "me" }));
    let viewer = server.ask(query, json!({ "yes": false })).await["viewer"].take();
    assert_eq!(viewer, json!({ "b": "me", "c": "me" }));
}

#[tokio::test]
async fn the_newest_values_of_columns_are_described() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let lines = [
        r#"{"loss":0.5,"_step":1}"#,
        r#"{"loss":0.1,"_step":2}"#,
        r#"{"dict":{"a":1.0,"b.c":2},"text":"x","_step":3}"#,
    ];
    let body = json!({ "files": { "wandb-history.jsonl": { "offset": 0, "content": lines } } });
    assert_eq!(server.post("me/p/r", &[], &body.to_string()).await.status, 200);
    let keys = run_field(&server, "r", "historyKeys").await["keys"].take();
    for (name, value) in [
        ("loss", json!(0.1)),
        ("text", json!("x")),
        ("dict.a", json!(1.0)),
        (r"dict.b\.c", json!(2)),
    ] {
        assert_eq!(keys[name]["previousValue"], value, "{name}: {keys}");
        assert!(!keys[name]["typeCounts"].as_array().unwrap().is_empty(), "{name}: {keys}");
    }
    assert_eq!(keys["dict"], Value::Null, "{keys}");
    // Legacy clients take the number of rows from here.
    assert_eq!(keys["_step"]["typeCounts"][0]["count"], 3, "{keys}");
    let query = "query S($spec: JSONString!) { project(name: \"p\", entityName: \"me\") {
        run(name: \"r\") { sampledHistory(specs: [$spec]) } } }";
    let spec = json!({ "keys": ["dict.a"] }).to_string();
    let data = server.ask(query, json!({ "spec": spec })).await;
    assert_eq!(data["project"]["run"]["sampledHistory"], json!([[{ "dict.a": 1.0 }]]));
}

#[tokio::test]
async fn a_run_that_is_opened_starts_at_line_zero() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    for i in 0..3 {
        assert_eq!(server.post("me/p/r", &[], &row(i)).await.status, 200);
    }
    // A client that resumes asks for the number of lines; one that starts over does not.
    assert_eq!(run_field(&server, "r", "historyLineCount").await, 3);
    let opened = server.make_run("me", "p", "r").await;
    assert_eq!(opened["bucket"]["historyLineCount"], 0);
}

/// wandb 0.19 resumes at the line in the response to its request that opens the run.
#[tokio::test]
async fn a_run_that_is_resumed_starts_at_its_next_line() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    for i in 0..3 {
        assert_eq!(server.post("me/p/r", &[], &row(i)).await.status, 200);
    }
    let status = "query RunResumeStatus { model(name: \"p\", entityName: \"me\") {
        bucket(name: \"r\", missingOk: true) { historyLineCount } } }";
    let status = server.ask(status, json!({})).await;
    assert_eq!(status["model"]["bucket"]["historyLineCount"], 3);
    // The client may miss the first response.
    for _ in 0..2 {
        let opened = server.make_run("me", "p", "r").await;
        assert_eq!(opened["bucket"]["historyLineCount"], 3);
    }
    assert_eq!(server.post("me/p/r", &[], &row(3)).await.status, 200);
    // Another client starts over.
    let opened = server.make_run("me", "p", "r").await;
    assert_eq!(opened["bucket"]["historyLineCount"], 0);
}

#[tokio::test]
async fn images_are_returned_as_they_were_logged() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let images = json!({ "_type": "images/separated", "count": 2, "format": "png", "width": 6,
        "height": 4, "filenames": ["media/images/a.png", "media/images/b.png"] });
    let line = json!({ "images": images, "_step": 0 }).to_string();
    let body = json!({ "files": { "wandb-history.jsonl": { "offset": 0, "content": [line] } } });
    assert_eq!(server.post("me/p/r", &[], &body.to_string()).await.status, 200);
    let line = run_field(&server, "r", "history").await[0].take();
    let line: Value = serde_json::from_str(line.as_str().unwrap()).unwrap();
    assert_eq!(line["images"], images);
    let sample = "sampledHistory(specs: [\"{\\\"keys\\\":[\\\"images\\\"]}\"])";
    assert_eq!(run_field(&server, "r", sample).await, json!([[{ "images": images }]]));
}

/// The current SDK sends an inclusive upper bound, older ones an exclusive one.
#[tokio::test]
async fn ranges_of_samples_end_where_their_client_means() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    for i in 0..5 {
        assert_eq!(server.post("me/p/r", &[], &row(i)).await.status, 200);
    }
    for (keys, max, samples, expected) in [
        (json!(["_step", "i", "_step"]), 1, 2, 2),
        (json!(["_step", "i", "_step"]), 4, 5, 5),
        (json!(["i"]), 2, 2, 2),
        // The last page of an older client.
        (json!(["i"]), 2, 1000, 2),
        (json!(["_step", "i"]), 2, 1000, 2),
    ] {
        let spec = json!({ "keys": keys, "minStep": 0, "maxStep": max, "samples": samples });
        let query = "query S($spec: JSONString!) { project(name: \"p\", entityName: \"me\") {
            run(name: \"r\") { sampledHistory(specs: [$spec]) } } }";
        let data = server.ask(query, json!({ "spec": spec.to_string() })).await;
        let rows = data["project"]["run"]["sampledHistory"][0].as_array().unwrap().len();
        assert_eq!(rows, expected, "{spec}");
    }
}

#[tokio::test]
async fn console_lines_are_paged() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let lines: Vec<String> = (0..5).map(|i| format!("line {i}")).collect();
    let body = json!({ "files": { "output.log": { "offset": 0, "content": lines } } });
    assert_eq!(server.post("me/p/r", &[], &body.to_string()).await.status, 200);
    for (arguments, expected, more) in [
        ("first: 2", &lines[..2], true),
        ("first: 2, after: \"1\", useImprovedPagination: true", &lines[2..4], true),
        ("first: 2, after: \"3\"", &lines[4..], false),
        ("last: 2", &lines[3..], false),
        ("last: 9", &lines[..], false),
        ("first: 0", &[], false),
    ] {
        let field = format!(
            "logLines({arguments}) {{ edges {{ node {{ number line }} }} pageInfo {{ hasNextPage }} }}"
        );
        let page = run_field(&server, "r", &field).await;
        let found: Vec<&str> = page["edges"]
            .as_array()
            .unwrap()
            .iter()
            .map(|edge| edge["node"]["line"].as_str().unwrap())
            .collect();
        assert_eq!(found, expected, "{arguments}");
        assert_eq!(page["pageInfo"]["hasNextPage"], more, "{arguments}");
    }
}

#[tokio::test]
async fn forks_are_refused() {
    let server = Running::start().await;
    let query = "mutation U($config: JSONString) { upsertBucket(input: {entityName: \"me\",
        modelName: \"p\", name: \"fork\", config: $config}) { inserted } }";
    let origin = json!({ "run_id": "r", "step": 2 });
    let config = json!({ "_wandb": { "value": { "branch_point": origin } } }).to_string();
    let said = refusal(&server, query, json!({ "config": config })).await;
    assert!(said.contains("cannot fork"), "{said}");
    let config = json!({ "_wandb": { "value": { "branch_point": null } } }).to_string();
    server.ask(query, json!({ "config": config })).await;
}

#[tokio::test]
async fn only_unnamed_writers_reopen_a_finished_run() {
    let server = Running::start().await;
    let end = json!({ "complete": true, "exitcode": 0 }).to_string();
    for (run, headers, expected) in
        [("shared", &SHARED[..], "finished"), ("t", &SHARED[..1], "running")]
    {
        server.make_run("me", "p", run).await;
        let path = format!("me/p/{run}");
        assert_eq!(server.post(&path, headers, &row(0)).await.status, 200);
        assert_eq!(server.post(&path, headers, &end).await.status, 200);
        assert_eq!(server.post(&path, headers, &row(1)).await.status, 200);
        assert_eq!(run_field(&server, run, "state").await, expected, "{run}");
        assert_eq!(run_field(&server, run, "historyLineCount").await, 2, "{run}");
    }
}

#[tokio::test]
async fn files_of_runs_are_deleted() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let create = "mutation F($n: String!) { createRunFiles(input: {entityName: \"me\",
        projectName: \"p\", runName: \"r\", files: [$n]}) { files { uploadUrl } } }";
    for name in ["a.txt", "b.txt"] {
        let data = server.ask(create, json!({ "n": name })).await;
        let url = data["createRunFiles"]["files"][0]["uploadUrl"].as_str().unwrap();
        assert_eq!(send("PUT", url, &[], "content").await.status, 200);
    }
    let files = run_field(&server, "r", "files { edges { node { id name } } }").await;
    let ids = [&files["edges"][0]["node"]["id"]];
    let delete = "mutation D($files: [ID!]!, $p: Int) { deleteFiles(input: {files: $files,
        projectId: $p}) { success } }";
    let stranger = server.catalog().add_key("k", Some("other"), Right::Write).await.unwrap().secret;
    let answer = server.ask_as(&stranger, delete, json!({ "files": ids })).await;
    assert!(answer.text().contains("file not found"), "{}", answer.text());
    let data = server.ask(delete, json!({ "files": ids, "p": 1 })).await;
    assert_eq!(data["deleteFiles"]["success"], true);
    let files = run_field(&server, "r", "files { edges { node { name } } }").await;
    assert_eq!(files["edges"], json!([{ "node": { "name": "b.txt" } }]));
    assert!(refusal(&server, delete, json!({ "files": ids })).await.contains("file not found"));
}

#[tokio::test]
async fn addresses_that_clients_print_have_pages() {
    let server = Running::start().await;
    for (path, status, location) in [
        ("/me/p/workspace", 307, "/me/p/runs"),
        ("/me/p/table", 307, "/me/p/runs"),
        ("/me/p/overview", 307, "/me/p"),
        ("/me/p/jobs", 307, "/me/p"),
        ("/me/p/runs", 200, ""),
        ("/me/p/runs/r", 200, ""),
        ("/me/p/runs/r/workspace", 200, ""),
        ("/me/p/runs/r/files/a/b.txt", 200, ""),
        ("/me/p/artifacts", 200, ""),
        ("/me/p/artifacts/dataset/data/v0", 200, ""),
        ("/me/p/artifacts/dataset/data/v0/files", 200, ""),
        ("/me/p%2Fq/runs", 404, ""),
        ("/me/p/reports/x", 404, ""),
        ("/me/p/nothing", 404, ""),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("location"), location, "{path}");
        assert_eq!(answer.text().contains(r#""view":"runs""#), status == 200, "{path}");
    }
    assert!(server.get("/me/p/reports/x").await.text().contains("no reports"));
}

#[tokio::test]
async fn run_addresses_of_tables_without_a_run_lead_to_the_table() {
    let server = Running::start().await;
    server.append("me/p/plain", r#"{"n":7}"#).await;
    server.append("me/p/run", r#"{"n":7}"#).await;
    server.make_run("me", "p", "run").await;
    for (path, status) in [
        ("/me/p/runs/plain", 307),
        ("/me/p/runs/plain/files", 307),
        ("/me/p/runs/run", 200),
        ("/me/p/runs/nothing", 200),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        let is_table = answer.header("location").starts_with("/?exp=");
        assert_eq!(is_table, status == 307, "{path}");
    }
}

#[tokio::test]
async fn table_names_of_runs_are_known() {
    let server = Running::start().await;
    // Names of runs may be longer than those of tables.
    for (run, is_same) in [("r".to_owned(), true), ("r".repeat(200), false)] {
        server.make_run("me", "p", &run).await;
        let table = run_field(&server, &run, "tableName").await;
        let table = table.as_str().unwrap();
        assert_eq!(table == run, is_same, "{table}");
        assert!(run.starts_with(&table[..1]) && table.len() <= 128, "{table}");
    }
}

#[tokio::test]
async fn pages_of_runs_ask_for_a_key_and_hide_other_entities() {
    let server = Running::start().await;
    let key = server.catalog().add_key("k", Some("theirs"), Right::Read).await.unwrap().secret;
    for path in ["/me/p/runs?compare=a", "/me/p/runs/r/logs", "/me/p/artifacts/dataset/data/v0"] {
        let url = format!("{}{path}", server.url);
        let login = send("GET", &url, &[], "").await;
        assert_eq!(login.status, 401, "{path}");
        // The login continues at the same page.
        assert!(login.text().contains(&format!("name=\"next\" value=\"{path}\"")), "{path}");
        let foreign = send("GET", &url, &[("authorization", &basic(&key))], "").await;
        assert_eq!(foreign.status, 404, "{path}");
    }
}

#[tokio::test]
async fn only_own_pages_may_use_signed_urls() {
    let server = Running::start().await;
    let url = format!("{}/storage/run/1/a", server.url);
    let auth = basic(&server.key);
    for (origin, expected) in [(&*server.url, &*server.url), ("http://evil.example", "")] {
        let headers = [("origin", origin), ("authorization", &auth)];
        let answer = send("OPTIONS", &url, &headers, "").await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("access-control-allow-origin"), expected, "{origin}");
    }
}

#[tokio::test]
async fn versions_of_all_clients_are_supported() {
    let server = Running::start().await;
    let data = server.ask("{ serverInfo { cliVersionInfo } }", json!({})).await;
    let versions = &data["serverInfo"]["cliVersionInfo"];
    assert!(versions["max_cli_version"].is_string() && versions["min_cli_version"].is_string());
}
