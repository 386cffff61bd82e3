//! Requests that are rejected.

use std::path::Path;

use serde_json::json;
use streamtable_server::{Right, Server, ServerConfig, ServerError};

use crate::support::{Running, basic, send};

#[tokio::test]
async fn unknown_keys_are_rejected() {
    let server = Running::start().await;
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
            ("POST", "/api/query"),
            ("POST", "/api/tables/me/p/r/rows"),
            ("GET", "/api/tables/me/p/r/rows"),
            ("GET", "/api/keys"),
            ("POST", "/api/login-links"),
        ] {
            let answer = send(method, &format!("{}{path}", server.url), headers, "{}").await;
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
    server.append("theirs/p/r", r#"{"a":1}"#).await;
    let own = server.catalog().add_key("own", Some("me"), Right::Admin).await.unwrap().secret;
    let auth = basic(&own);
    let at = |path: &str| format!("{}{path}", server.url);
    let rows = at("/api/tables/theirs/p/r/rows");
    for (method, url) in [
        ("POST", rows.clone()),
        ("GET", rows),
        (
            "GET",
            at("/?exp=get%28%22wandb-artifact%3A%2F%2F%2Ftheirs%2Fp%2Fr%3Alatest%2Fobj%22%29.rows"),
        ),
    ] {
        let answer = send(method, &url, &[("authorization", &auth)], "{\"a\":1}").await;
        assert_eq!(answer.status, 404, "{method} {url}");
    }

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
    server.append("me/p/r", r#"{"a":1}"#).await;
    let key = server.catalog().add_key("reader", Some("me"), Right::Read).await.unwrap().secret;
    let auth = basic(&key);
    for (method, path, status) in [
        ("POST", "/api/tables/me/p/r/rows", 403),
        ("PUT", "/api/boards/me/p/b", 403),
        ("GET", "/api/keys", 403),
        ("GET", "/api/tables/me/p/r/rows", 200),
    ] {
        let url = format!("{}{path}", server.url);
        let answer = send(method, &url, &[("authorization", &auth)], "").await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    }
}

#[tokio::test]
async fn forged_hosts_and_origins_are_rejected() {
    let server = Running::start().await;
    let auth = basic(&server.key);
    let query = format!("{}/api/query", server.url);
    let body = r#"{"sql":"select 1"}"#;
    let status = async |headers: &[(&str, &str)]| {
        let headers = [&[("authorization", auth.as_str())], headers].concat();
        send("POST", &query, &headers, body).await.status
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
    server.append("me/p/r", r#"{"a":1}"#).await;
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
