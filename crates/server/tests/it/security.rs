//! Requests that are rejected.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use streamtable_server::{Right, Server, ServerConfig, ServerError};

use crate::support::{Running, basic, send};

const ROWS: &str = r#"{"files":{"wandb-history.jsonl":{"offset":0,"content":["{\"a\":1,\"_client_id\":\"w\"}"]}}}"#;

#[tokio::test]
async fn unknown_keys_are_rejected() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let gone = server.catalog().add_key("gone", Some("me"), Right::Write).await.unwrap();
    assert!(server.catalog().revoke_key(&gone.key.id).await.unwrap());
    let wrong = [
        basic(&"0".repeat(40)),
        basic(&gone.secret),
        basic(""),
        format!("Bearer {}", "x".repeat(40)),
        "Basic !".to_owned(),
        "Digest x".to_owned(),
    ];
    for auth in wrong.iter().map(String::as_str).chain([""]) {
        let headers: &[(&str, &str)] =
            if auth.is_empty() { &[] } else { &[("authorization", auth)] };
        for (method, path) in [
            ("POST", "/graphql"),
            ("POST", "/files/me/p/r/file_stream"),
            ("GET", "/files/me/p/r/a.png"),
            ("GET", "/artifacts/me/00000000000000000000000000000000"),
            ("GET", "/api/keys"),
            ("POST", "/api/login-links"),
        ] {
            let answer = send(method, &format!("{}{path}", server.url), headers, ROWS).await;
            assert_eq!(answer.status, 401, "{method} {path} {auth}");
            let told = answer.json();
            assert!(told["errors"][0]["message"].is_string());
        }
    }
    // The user name is ignored, and Bearer is accepted.
    use base64::Engine;
    let other_user = format!("someone:{}", server.key);
    let other_user = base64::prelude::BASE64_STANDARD.encode(other_user);
    for auth in [format!("Basic {other_user}"), format!("Bearer {}", server.key)] {
        let keys = format!("{}/api/keys", server.url);
        assert_eq!(send("GET", &keys, &[("authorization", &auth)], "").await.status, 200);
    }
}

#[tokio::test]
async fn other_entities_look_nonexistent() {
    let server = Running::start().await;
    server.make_run("theirs", "p", "r").await;
    let url = format!("{}/files/theirs/p/r/file_stream", server.url);
    let own = server.catalog().add_key("own", Some("me"), Right::Admin).await.unwrap().secret;
    let auth = basic(&own);
    let answer = send("POST", &url, &[("authorization", &auth)], ROWS).await;
    assert_eq!(answer.status, 404);
    for path in [
        "/files/theirs/p/r/a.png",
        "/?exp=get%28%22wandb-artifact%3A%2F%2F%2Ftheirs%2Fp%2Fr%3Alatest%2Fobj%22%29.rows",
    ] {
        let url = format!("{}{path}", server.url);
        assert_eq!(send("GET", &url, &[("authorization", &auth)], "").await.status, 404);
    }
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

    // An admin of one entity creates keys for that entity only.
    let keys = format!("{}/api/keys", server.url);
    let json = ("content-type", "application/json");
    for (body, status) in [
        (r#"{"name":"k","right":"write"}"#, 201),
        (r#"{"name":"k","right":"write","entity":"me"}"#, 201),
        (r#"{"name":"k","right":"write","entity":"theirs"}"#, 403),
    ] {
        let answer = send("POST", &keys, &[("authorization", &auth), json], body).await;
        assert_eq!(answer.status, status, "{body}");
    }
    let listed = send("GET", &keys, &[("authorization", &auth)], "").await.json();
    assert!(listed.as_array().unwrap().iter().all(|key| key["entity"] == "me"), "{listed}");
    assert!(!listed.to_string().contains(&own));
}

#[tokio::test]
async fn a_read_key_cannot_change_anything() {
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
    let keys = format!("{}/api/keys", server.url);
    assert_eq!(send("GET", &keys, &[("authorization", &auth)], "").await.status, 403);
    let seen = "{ project(name: \"p\", entityName: \"me\") { run(name: \"r\") { name } } }";
    let seen = server.ask_as(&key, seen, json!({})).await.json();
    assert_eq!(seen["data"]["project"]["run"]["name"], "r");
}

#[tokio::test]
async fn forged_hosts_and_origins_are_rejected() {
    let server = Running::start().await;
    let auth = basic(&server.key);
    let graphql = format!("{}/graphql", server.url);
    let body = r#"{"query":"{ viewer { id } }"}"#;
    let status = async |headers: &[(&str, &str)]| {
        let headers = [&[("authorization", auth.as_str())], headers].concat();
        send("POST", &graphql, &headers, body).await.status
    };
    assert_eq!(status(&[]).await, 200);
    assert_eq!(status(&[("host", "localhost:1")]).await, 200);
    assert_eq!(status(&[("host", "evil.example")]).await, 403);
    assert_eq!(
        status(&[("host", "evil.example:80"), ("origin", "http://evil.example:80")]).await,
        403
    );
    assert_eq!(status(&[("origin", "http://evil.example")]).await, 403);
    assert_eq!(status(&[("origin", "null")]).await, 403);
    assert_eq!(status(&[("origin", &server.url)]).await, 200);
    for host in ["127.0.0.1:1@evil.example", "localhost:1, evil.example", "localhost evil", "a/b"] {
        assert_eq!(status(&[("host", host)]).await, 400, "{host}");
    }
    assert_eq!(status(&[("host", "localhost"), ("host", "localhost")]).await, 400);
}

#[tokio::test]
async fn links_start_with_a_valid_host() {
    let server = Running::start().await;
    let auth = basic(&server.key);
    let links = format!("{}/api/login-links", server.url);
    let forged = [("x-forwarded-host", "evil.example"), ("forwarded", "host=evil.example")];
    for (host, expected) in [
        ("LOCALHOST:7", "http://localhost:7/login?token="),
        ("[0::1]:7", "http://[::1]:7/login?token="),
    ] {
        let headers = [&[("authorization", auth.as_str()), ("host", host)], &forged[..]].concat();
        let answer = send("POST", &links, &headers, "").await;
        assert!(answer.json()["url"].as_str().unwrap().starts_with(expected), "{}", answer.text());
    }
}

#[tokio::test]
async fn errors_and_plans_hide_the_data_folder() {
    let mut server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let mode = ("x-wandb-use-async-filestream", "true");
    assert_eq!(server.post("me/p/r", &[mode], ROWS).await.status, 200);
    // A shutdown writes the rows to Parquet.
    server.restart().await;
    let folder = server.folder.path().to_str().unwrap().to_owned();
    let name = server.folder.path().file_name().unwrap().to_str().unwrap().to_owned();
    let ask = async |server: &Running, sql: &str| {
        let auth = basic(&server.key);
        let headers = [("authorization", auth.as_str()), ("content-type", "application/json")];
        let body = json!({ "sql": sql }).to_string();
        send("POST", &format!("{}/api/query", server.url), &headers, body).await
    };
    for how in ["explain", "explain verbose", "explain analyze"] {
        let plan = ask(&server, &format!("{how} select * from me.p.r")).await;
        assert_eq!(plan.status, 200, "{}", plan.text());
        let text = plan.text();
        assert!(text.contains("me/p/r/") && !text.contains(&name), "{how}: {text}");
    }

    // A missing file, and one that is not Parquet.
    let tables = server.folder.path().join("store/tables/me/p/r");
    let files = || {
        let entries = std::fs::read_dir(&tables).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|end| end == "parquet"))
    };
    let damages: [fn(&Path); 2] = [
        |path| std::fs::write(path, "no file").unwrap(),
        |path| std::fs::remove_file(path).unwrap(),
    ];
    for damage in damages {
        files().for_each(|path| damage(&path));
        let auth = basic(&server.key);
        let rows = format!("{}/api/tables/me/p/r/rows", server.url);
        let rows = send("GET", &rows, &[("authorization", &auth)], "").await;
        let answer = ask(&server, "select * from me.p.r").await;
        for text in [rows.text(), answer.text()] {
            assert!(!text.contains(&folder) && !text.contains(&name), "{text}");
        }
    }
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
async fn above_the_memory_limit_requests_get_503() {
    let server = Running::start_with(|config| config.memory_limit = Some(1)).await;
    if streamtable_store::MemoryCeiling::default().used() == 0 {
        // Memory is not measured on this system.
        return;
    }
    let auth = basic(&server.key);
    let headers = [("authorization", auth.as_str())];
    for (path, body) in [("/api/tables/me/p/t/rows", "{\"x\":1}"), ("/api/query", "select 1")] {
        let answer = send("POST", &format!("{}{path}", server.url), &headers, body).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1, "{path}");
    }
    assert_eq!(server.get("/healthz").await.status, 200);
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

#[tokio::test]
async fn a_public_address_requires_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let config = ServerConfig {
        addr: "0.0.0.0:0".parse().unwrap(),
        data_dir: folder.path().to_owned(),
        ..ServerConfig::default()
    };
    let refused = Server::bind(config).await;
    assert!(matches!(refused, Err(ServerError::NoKeys { .. })), "{refused:?}");
}
