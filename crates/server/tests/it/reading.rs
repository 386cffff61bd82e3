//! Queries of the real clients, in their original form.

use serde_json::{Value, json};

use crate::support::Running;

fn rows(offset: u64, lines: &[&str]) -> String {
    json!({ "files": { "wandb-history.jsonl": { "offset": offset, "content": lines } } })
        .to_string()
}

const ASYNC: (&str, &str) = ("x-wandb-use-async-filestream", "true");

#[tokio::test]
async fn legacy_client_probes_are_answered() {
    let server = Running::start().await;
    let query = "query Probe { \
        S: __type(name: \"ServerSettings\") { fields { name } } \
        Q: __type(name: \"Query\") { fields { name } } \
        M: __type(name: \"Mutation\") { fields { name } } \
        I: __type(name: \"ServerInfo\") { fields { name } } \
        A: __type(name: \"Artifact\") { fields { name } } \
        C: __type(name: \"CreateArtifactInput\") { inputFields { name } } \
        F: __type(name: \"CreateArtifactFileSpecInput\") { inputFields { name } } }";
    // The query passes an undeclared variable and has no operation name.
    let data = server.ask(query, json!({ "historyStep": null })).await;
    let names = |ty: &str, list: &str| -> Vec<String> {
        let names = data[ty][list].as_array().unwrap_or_else(|| panic!("{ty}: {data}"));
        names.iter().map(|name| name["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("S", "fields"), [""; 0]);
    assert!(names("M", "fields").contains(&"createRunFiles".to_owned()));
    assert!(names("Q", "fields").contains(&"viewer".to_owned()));
    assert!(names("I", "fields").contains(&"cliVersionInfo".to_owned()));
    for name in ["ttlDurationSeconds", "ttlIsInherited", "tags"] {
        assert!(names("A", "fields").contains(&name.to_owned()));
    }
    for name in ["clientID", "ttlDurationSeconds", "tags", "enableDigestDeduplication"] {
        assert!(names("C", "inputFields").contains(&name.to_owned()), "{name}");
    }
    assert!(names("F", "inputFields").contains(&"artifactManifestID".to_owned()));
}

#[tokio::test]
async fn rows_of_async_writers_are_numbered_by_position() {
    let server = Running::start().await;
    server.make_run("me", "p", "t").await;
    let last_step = async || {
        let query = "query RunHistoryKeys($project: String!, $entity: String!, $name: String!) {
            project(name: $project, entityName: $entity) { run(name: $name) { historyKeys } } }";
        let data = server.ask(query, json!({"project":"p","entity":"me","name":"t"})).await;
        data["project"]["run"]["historyKeys"]["lastStep"].clone()
    };
    assert_eq!(last_step().await, -1);
    let lines: Vec<String> = (0..5)
        .map(|i| format!(r#"{{"i":{i},"x":NaN,"_client_id":"w","_timestamp":1.5}}"#))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    for _ in 0..2 {
        assert_eq!(server.post("me/p/t", &[ASYNC], &rows(0, &lines)).await.status, 200);
    }
    assert_eq!(last_step().await, 4);
    let query = "query HistoryPage($min: Int64!, $max: Int64!, $size: Int!) {
        project(name: \"p\", entityName: \"me\") { run(name: \"t\") {
            history(minStep: $min, maxStep: $max, samples: $size) historyLineCount } } }";
    let data = server.ask(query, json!({"min": 1, "max": 4, "size": 2})).await;
    let run = &data["project"]["run"];
    assert_eq!(run["historyLineCount"], 5);
    assert_eq!(
        run["history"],
        json!([
            r#"{"i":1,"x":NaN,"_client_id":"w","_timestamp":1.5,"_step":1}"#,
            r#"{"i":2,"x":NaN,"_client_id":"w","_timestamp":1.5,"_step":2}"#,
        ])
    );
    let query = "query S($spec: JSONString!) { project(name: \"p\", entityName: \"me\") {
        run(name: \"t\") { sampledHistory(specs: [$spec])
        parquetHistory(liveKeys: [\"i\"]) { liveData parquetUrls } } } }";
    let spec = json!({"keys": ["i", "x"], "samples": 3}).to_string();
    let data = server.ask(query, json!({ "spec": spec })).await;
    let run = &data["project"]["run"];
    assert_eq!(run["sampledHistory"][0].as_array().unwrap().len(), 3);
    assert_eq!(run["sampledHistory"][0][0], json!({"i": 0, "x": "NaN"}));
    let live: Vec<Value> = (0..5).map(|i| json!({"i": i})).collect();
    assert_eq!(run["parquetHistory"], json!({"liveData": live, "parquetUrls": []}));
}

#[tokio::test]
async fn runs_of_the_current_sdk_are_resumed() {
    let server = Running::start().await;
    let query = "mutation U($config: JSONString) { upsertBucket(input: {entityName: \"me\",
        modelName: \"p\", name: \"r\", config: $config, tags: [\"a\"]}) {
        inserted bucket { config tags historyLineCount } } }";
    let config = r#"{"lr":{"value":0.1},"_wandb":{"value":{"t":{"1":[1]}}}}"#;
    let data = server.ask(query, json!({ "config": config })).await;
    assert_eq!(data["upsertBucket"]["inserted"], true);
    // Null fields stay unchanged.
    let data = server.ask(query, json!({ "config": null })).await;
    assert_eq!(data["upsertBucket"]["bucket"]["config"], config);
    assert_eq!(data["upsertBucket"]["inserted"], false);

    let body = json!({
        "files": {
            "wandb-history.jsonl": { "offset": 0, "content": [
                r#"{"loss":1,"_step":0,"_runtime":0.5,"_timestamp":1}"#,
                r#"{"loss":0.5,"_step":3,"_runtime":1.5,"_timestamp":2}"#] },
            "wandb-events.jsonl": { "offset": 0, "content": [r#"{"system.cpu":1}"#] },
            "wandb-summary.json": { "offset": 0, "content": [r#"{"loss":0.5}"#] },
            "output.log": { "offset": 0, "content": ["a", "b", "c"] },
        },
        "complete": true, "exitcode": 0,
    });
    for _ in 0..2 {
        assert_eq!(server.post("me/p/r", &[], &body.to_string()).await.status, 200);
    }
    let query = "query RunResumeStatus($project: String, $entity: String, $name: String!) {
        model(name: $project, entityName: $entity) { id name entity { id name }
        bucket(name: $name, missingOk: true) { id name summaryMetrics displayName logLineCount
        historyLineCount eventsLineCount historyTail eventsTail config tags notes
        wandbConfig(keys: [\"t\"]) state } } }";
    let data = server.ask(query, json!({"project":"p","entity":"me","name":"r"})).await;
    let bucket = &data["model"]["bucket"];
    for (field, expected) in [
        ("logLineCount", json!(3)),
        ("historyLineCount", json!(2)),
        ("eventsLineCount", json!(1)),
        ("summaryMetrics", json!(r#"{"loss":0.5}"#)),
        ("wandbConfig", json!(r#"{"t":{"1":[1]}}"#)),
        ("eventsTail", json!(r#"["{\"system.cpu\":1}"]"#)),
        ("state", json!("finished")),
    ] {
        assert_eq!(bucket[field], expected, "{field}");
    }
    let tail: Vec<String> = serde_json::from_str(bucket["historyTail"].as_str().unwrap()).unwrap();
    let tail: Value = serde_json::from_str(&tail[0]).unwrap();
    assert_eq!((&tail["_step"], &tail["loss"]), (&json!(3), &json!(0.5)));

    // Pages are selected by step; steps may have gaps.
    let query = "{ project(name: \"p\", entityName: \"me\") { run(name: \"r\") {
        history(minStep: 1, maxStep: 4, samples: 10) historyKeys } } }";
    let data = server.ask(query, json!({})).await;
    let run = &data["project"]["run"];
    assert_eq!(run["history"].as_array().unwrap().len(), 1);
    assert_eq!(run["historyKeys"]["lastStep"], 3);
    let data = server.ask(query, json!({})).await;
    assert!(data["project"]["run"].is_object());
}

#[tokio::test]
async fn runs_are_filtered_sorted_and_paged() {
    let server = Running::start().await;
    for (name, lr) in [("a", 0.1), ("b", 0.2), ("c", 0.3)] {
        let query = "mutation U($name: String, $config: JSONString) { upsertBucket(input: {
            entityName: \"me\", modelName: \"p\", name: $name, config: $config}) { inserted } }";
        let config = json!({ "lr": { "value": lr } }).to_string();
        server.ask(query, json!({ "name": name, "config": config })).await;
    }
    let query = "query Runs($filters: JSONString, $order: String, $cursor: String) {
        project(name: \"p\", entityName: \"me\") { internalId runCount(filters: $filters) readOnly
        runs(filters: $filters, after: $cursor, first: 1, order: $order) {
            edges { node { projectId name config user { name username } } cursor }
            pageInfo { endCursor hasNextPage } } } }";
    let filters = r#"{"config.lr":{"$gt":0.15}}"#;
    let page = async |cursor: Value| {
        let variables = json!({ "filters": filters, "order": "-config.lr", "cursor": cursor });
        server.ask(query, variables).await["project"].clone()
    };
    let first = page(Value::Null).await;
    assert_eq!((&first["runCount"], &first["readOnly"]), (&json!(2), &json!(false)));
    assert_eq!(first["runs"]["edges"][0]["node"]["name"], "c");
    assert_eq!(first["runs"]["pageInfo"]["hasNextPage"], true);
    let second = page(first["runs"]["pageInfo"]["endCursor"].clone()).await;
    assert_eq!(second["runs"]["edges"][0]["node"]["name"], "b");
    assert_eq!(second["runs"]["pageInfo"]["hasNextPage"], false);
}

#[tokio::test]
async fn a_restart_loses_no_rows() {
    let mut server = Running::start().await;
    server.make_run("me", "p", "t").await;
    let line = r#"{"i":1,"_client_id":"w"}"#;
    assert_eq!(server.post("me/p/t", &[ASYNC], &rows(0, &[line])).await.status, 200);
    server.restart().await;
    assert_eq!(server.post("me/p/t", &[ASYNC], &rows(0, &[line])).await.status, 200);
    let query = "{ project(name: \"p\", entityName: \"me\") { run(name: \"t\") {
        historyLineCount } } }";
    let data = server.ask(query, json!({})).await;
    assert_eq!(data["project"]["run"]["historyLineCount"], 1);
}
