//! Requests of the W&B protocol that are rejected, or that only it answers.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use streamtable_server::Right;

use crate::support::{Running, basic, send};

const ROWS: &str = r#"{"files":{"wandb-history.jsonl":{"offset":0,"content":["{\"a\":1,\"_client_id\":\"w\"}"]}}}"#;

#[tokio::test]
async fn requests_without_a_key_are_rejected() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    for (method, path) in [
        ("POST", "/graphql"),
        ("POST", "/files/me/p/r/file_stream"),
        ("GET", "/files/me/p/r/a.png"),
        ("GET", "/artifacts/me/00000000000000000000000000000000"),
    ] {
        for headers in [&[][..], &[("authorization", "Basic !")][..]] {
            let answer = send(method, &format!("{}{path}", server.url), headers, ROWS).await;
            assert_eq!(answer.status, 401, "{method} {path} {headers:?}");
            assert!(answer.json()["errors"][0]["message"].is_string());
        }
    }
}

#[tokio::test]
async fn a_run_without_rows_has_a_page() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let page = |run: &str| {
        format!("/?exp=get%28%22wandb-artifact%3A%2F%2F%2Fme%2Fp%2F{run}%3Alatest%2Fobj%22%29.rows")
    };
    assert_eq!(server.get(&page("r")).await.status, 200);
    assert_eq!(server.get(&page("other")).await.status, 404);
}

#[tokio::test]
async fn objects_of_other_entities_look_nonexistent() {
    let server = Running::start().await;
    server.make_run("theirs", "p", "r").await;
    let own = server.catalog().add_key("own", Some("me"), Right::Admin).await.unwrap().secret;
    let auth = basic(&own);
    let url = format!("{}/files/theirs/p/r/file_stream", server.url);
    let answer = send("POST", &url, &[("authorization", &auth)], ROWS).await;
    assert_eq!(answer.status, 404);
    let url = format!("{}/files/theirs/p/r/a.png", server.url);
    assert_eq!(send("GET", &url, &[("authorization", &auth)], "").await.status, 404);
    let query = "{ project(name: \"p\", entityName: \"theirs\") { run(name: \"r\") { id } }
        models(entityName: \"theirs\") { edges { node { name } } } entity(name: \"theirs\") { name } }";
    let answer = server.ask_as(&own, query, json!({})).await.json();
    assert_eq!(
        answer["data"],
        json!({ "project": null, "models": { "edges": [] }, "entity": null })
    );
    let query = "mutation { upsertBucket(input: {entityName: \"theirs\", modelName: \"p\",
        name: \"r\"}) { bucket { id } } }";
    let answer = server.ask_as(&own, query, json!({})).await.json();
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("no entity"), "{answer}");
    // An object's id does not give access either.
    let id = server.make_run("theirs", "p", "r").await["bucket"]["id"].clone();
    let query = "mutation U($id: String) { upsertBucket(input: {id: $id, notes: \"x\"}) {
        bucket { id } } }";
    let answer = server.ask_as(&own, query, json!({ "id": id })).await.json();
    assert!(answer["errors"].is_array(), "{answer}");
}

#[tokio::test]
async fn a_read_key_cannot_change_runs_or_files() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let key = server.catalog().add_key("reader", Some("me"), Right::Read).await.unwrap().secret;
    let auth = basic(&key);
    let url = format!("{}/files/me/p/r/file_stream", server.url);
    assert_eq!(send("POST", &url, &[("authorization", &auth)], ROWS).await.status, 403);
    for query in [
        "mutation { upsertModel(input: {entityName: \"me\", name: \"q\"}) { inserted } }",
        "mutation { upsertBucket(input: {entityName: \"me\", modelName: \"p\", name: \"q\"}) {
            inserted } }",
        "mutation { createRunFiles(input: {entityName: \"me\", projectName: \"p\", runName: \"r\",
            files: [\"a\"]}) { runID } }",
        "{ model(name: \"p\", entityName: \"me\") { bucket(name: \"r\") { files(names: [\"a\"]) {
            edges { node { url(upload: true) } } } } } }",
    ] {
        let answer = server.ask_as(&key, query, json!({})).await.json();
        assert!(answer["errors"].is_array(), "{query}: {answer}");
    }
    let seen = "{ project(name: \"p\", entityName: \"me\") { run(name: \"r\") { name } } }";
    let seen = server.ask_as(&key, seen, json!({})).await.json();
    assert_eq!(seen["data"]["project"]["run"]["name"], "r");
}

#[tokio::test]
async fn names_cannot_escape_their_folder() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    for (entity, project, run) in [
        ("me", "..", "r"),
        ("me", "p", ".."),
        ("me", "a/b", "r"),
        ("me", "p", "../../r"),
        ("me", "p\u{0}", "r"),
        ("../me", "p", "r"),
        ("ME", "p", "r"),
        ("me", "p", "r\n"),
    ] {
        let query = "mutation U($e: String, $p: String, $r: String) {
            upsertBucket(input: {entityName: $e, modelName: $p, name: $r}) { inserted } }";
        let variables = json!({ "e": entity, "p": project, "r": run });
        let answer = server.ask_as(&server.key, query, variables).await.json();
        assert!(answer["errors"].is_array(), "{entity:?} {project:?} {run:?}: {answer}");
    }
    for path in ["../a", "/etc/passwd", "a/../../b", "a\\b", "", "a//b", "a\u{0}"] {
        let query = "mutation F($files: [String!]!) { createRunFiles(input: {entityName: \"me\",
            projectName: \"p\", runName: \"r\", files: $files}) { runID } }";
        let answer = server.ask_as(&server.key, query, json!({ "files": [path] })).await.json();
        assert!(answer["errors"].is_array(), "{path:?}: {answer}");
    }
    for path in [
        "/files/me/p/r/..%2F..%2F..%2Fcatalog.db",
        "/files/me/p/r/%2Fetc%2Fpasswd",
        "/files/me/..%2Fp/r/a",
        "/artifacts/me/..%2F..%2Fcatalog.db",
        "/artifactsV2/default/me/..%2F..%2Fcatalog.db",
    ] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    // A run whose name is not a valid table name gets a table with another name.
    server.make_run("me", "p", "été 1").await;
    let posted =
        server.post("me/p/%C3%A9t%C3%A9%201", &[("x-wandb-use-async-filestream", "true")], ROWS);
    assert_eq!(posted.await.status, 200);
    let folder = server.folder.path();
    assert!(std::fs::read_dir(folder.parent().unwrap()).is_ok());
}

#[tokio::test]
async fn bombs_and_deep_input_are_rejected() {
    let server = Running::start_with(|config| config.wandb.max_body_bytes = 1 << 20).await;
    server.make_run("me", "p", "r").await;
    let auth = basic(&server.key);
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 64 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 100 << 10);
    let headers = [("authorization", auth.as_str()), ("content-encoding", "gzip")];
    let url = format!("{}/files/me/p/r/file_stream", server.url);
    assert_eq!(send("POST", &url, &headers, bomb).await.status, 413);
    assert_eq!(send("POST", &url, &headers, "no gzip").await.status, 400);
    let odd = [("authorization", auth.as_str()), ("content-encoding", "br")];
    assert_eq!(send("POST", &url, &odd, "x").await.status, 415);
    let long = [("authorization", auth.as_str())];
    assert_eq!(send("POST", &url, &long, vec![b' '; (1 << 20) + 1]).await.status, 413);

    // Deep JSON: in the whole post, and in one row, which is rejected alone.
    let deep = format!(r#"{{"files":{}"#, "{\"a\":".repeat(100_000));
    assert_eq!(server.post("me/p/r", &[], &deep).await.status, 400);
    let row = format!("{}1{}", r#"{\"a\":"#.repeat(1000), "}".repeat(1000));
    let rows = format!(
        r#"{{"files":{{"wandb-history.jsonl":{{"offset":0,"content":["{row}","{{\"a\":1}}"]}}}}}}"#
    );
    let answer = server.post("me/p/r", &[("x-wandb-use-async-filestream", "true")], &rows).await;
    assert_eq!(answer.status, 200);
    let rejected = answer.json()["rejected"].clone();
    assert_eq!(rejected.as_array().unwrap().len(), 1, "{rejected}");
    assert_eq!(rejected[0]["line"], 0);

    // Queries that exceed a limit.
    let deep =
        format!("{{ viewer {} }}", "{ defaultEntity { project ".repeat(50)) + &"}}".repeat(51);
    for query in [
        deep,
        format!(
            "{{ {} }}",
            (0..5000).map(|i| format!("a{i}: viewer {{ id }} ")).collect::<String>()
        ),
        "{ viewer { ...a } } fragment a on User { ...b } fragment b on User { ...a }".to_owned(),
        "{".to_owned(),
    ] {
        let answer = server.ask_as(&server.key, &query, json!({})).await;
        assert_eq!(answer.status, 200);
        let told = answer.json();
        assert!(told["errors"][0]["message"].is_string(), "{query:.100}: {told:.300}");
    }
}

#[tokio::test]
async fn doubling_fragments_are_rejected() {
    let server = Running::start().await;
    let mut document = "query{...f0}".to_owned();
    for i in 0..30 {
        let next = i + 1;
        document.push_str(&format!(" fragment f{i} on Query{{...f{next} ...f{next}}}"));
    }
    document.push_str(" fragment f30 on Query{viewer{id}}");
    // More requests than threads: a server that expanded the fragments would not answer.
    let asked = (0..64).map(|_| server.ask_as(&server.key, &document, json!({})));
    for answer in futures_util::future::join_all(asked).await {
        let message = answer.json()["errors"][0]["message"].to_string();
        assert!(message.contains("more than 2000 fields"), "{message}");
    }
    let answer = server.ask_as(&server.key, &"{".repeat(100_000), json!({})).await;
    assert!(answer.body.len() < 1000, "{}", answer.text());
}

#[tokio::test]
async fn overload_gets_503() {
    let server = Running::start_with(|config| {
        config.limits.body_memory_bytes = 1 << 20;
        config.limits.max_wait = std::time::Duration::from_millis(50);
    })
    .await;
    server.make_run("me", "p", "r").await;
    // A body that reserves all the memory and never arrives.
    let mut slow = tokio::net::TcpStream::connect(server.host()).await.unwrap();
    let head = format!(
        "POST /files/me/p/r/file_stream HTTP/1.1\r\nhost: localhost\r\nauthorization: {}\r\n\
         content-length: 2000000\r\n\r\n{{",
        basic(&server.key)
    );
    tokio::io::AsyncWriteExt::write_all(&mut slow, head.as_bytes()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let answer = server.post("me/p/r", &[], ROWS).await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    drop(slow);
    for _ in 0..100 {
        if server.post("me/p/r", &[], ROWS).await.status == 200 {
            return;
        }
    }
    panic!("the memory was never released");
}
