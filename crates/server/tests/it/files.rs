//! Files of runs, uploaded and served by signed URLs.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::json;
use streamtable_server::{LostCatalog, Right, Server, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Running, basic, send};

/// Announces a run's file and returns its upload URL.
async fn announce(server: &Running, path: &str) -> String {
    let query = "mutation F($files: [String!]!) { createRunFiles(input: {entityName: \"me\",
        projectName: \"p\", runName: \"r\", files: $files}) { runID uploadHeaders
        files { name uploadUrl } } }";
    let data = server.ask(query, json!({ "files": [path] })).await;
    data["createRunFiles"]["files"][0]["uploadUrl"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn uploaded_files_are_served() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let url = announce(&server, "media/a b.png").await;
    let stray = ("authorization", "Basic dXNlcjpub25zZW5zZQ==");
    assert_eq!(send("PUT", &url, &[stray], "0123456789").await.status, 200);

    let path = "/files/me/p/r/media/a%20b.png";
    let whole = server.get(path).await;
    assert_eq!((whole.status, whole.text().as_str()), (200, "0123456789"));
    assert_eq!(whole.header("content-type"), "image/png");
    assert_eq!(whole.header("x-content-type-options"), "nosniff");
    let etag = whole.header("etag").to_owned();
    let auth = basic(&server.key);
    let at = format!("{}{path}", server.url);
    let get = async |name: &str, value: &str| {
        send("GET", &at, &[("authorization", &auth), (name, value)], "").await
    };
    assert_eq!(get("if-none-match", &etag).await.status, 304);
    let part = get("range", "bytes=2-4").await;
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), "bytes 2-4/10");
    assert_eq!(get("range", "bytes=10-").await.status, 416);
    let head = send("HEAD", &at, &[("authorization", &auth)], "").await;
    assert_eq!((head.status, head.header("content-length")), (200, "10"));
    assert_eq!(send("GET", &at, &[], "").await.status, 401);

    // If the URL contains the digest, the response may be cached forever.
    let digest = etag.trim_matches('"');
    assert_eq!(whole.header("cache-control"), "private, no-cache");
    let kept = server.get(&format!("{path}?sha256={digest}")).await;
    assert_eq!(kept.header("cache-control"), "private, max-age=31536000, immutable");
    let other = server.get(&format!("{path}?sha256={}", "0".repeat(64))).await;
    assert_eq!(other.header("cache-control"), "private, no-cache");

    // A new upload under the same path replaces the content.
    let url = announce(&server, "media/a b.png").await;
    assert_eq!(send("PUT", &url, &[], "new").await.status, 200);
    assert_eq!(server.get(path).await.text(), "new");
}

#[tokio::test]
async fn html_files_are_served_in_a_sandbox() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    for name in ["a.html", "a.svg"] {
        let url = announce(&server, name).await;
        assert_eq!(send("PUT", &url, &[], "<script>alert(1)</script>").await.status, 200);
        let file = server.get(&format!("/files/me/p/r/{name}")).await;
        assert!(file.header("content-security-policy").starts_with("sandbox;"));
        assert!(file.header("content-disposition").starts_with("attachment;"));
    }
}

#[tokio::test]
async fn signed_urls_are_valid_for_one_file_and_method() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let url = announce(&server, "a.txt").await;
    assert_eq!(send("PUT", &url, &[], "x").await.status, 200);
    let (place, signature) = url.split_once('?').unwrap();
    for forged in [
        place.to_owned(),
        format!("{place}?expires=99999999999&signature={}", "0".repeat(64)),
        format!("{}?{signature}", place.replace("a.txt", "b.txt")),
        format!("{}?{signature}", place.replace("/run/1/", "/run/2/")),
        url.replace("expires=", "expires=9"),
        url.replace("/storage/run/1/a.txt", "/storage/run/1/../../catalog.db"),
        url.replace("/storage/run/1/a.txt", "/storage/run/1/..%2F..%2Fcatalog.db"),
    ] {
        let status = send("PUT", &forged, &[], "x").await.status;
        assert!(matches!(status, 403 | 404), "{forged}: {status}");
    }
    // An upload URL does not allow a download.
    assert_eq!(send("GET", &url, &[], "").await.status, 403);
    // Each slot has exactly one path.
    for number in ["+1", "01"] {
        let other = url.replace("/run/1/", &format!("/run/{number}/"));
        assert_eq!(send("PUT", &other, &[], "x").await.status, 403, "{other}");
    }
}

#[tokio::test]
async fn signed_urls_are_invalid_once_their_key_is_revoked() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let made = server.catalog().add_key("k", Some("me"), Right::Write).await.unwrap();
    let query = "mutation { createRunFiles(input: {entityName: \"me\", projectName: \"p\",
        runName: \"r\", files: [\"a\"]}) { files { uploadUrl } } }";
    let answer = server.ask_as(&made.secret, query, json!({})).await.json();
    let put =
        answer["data"]["createRunFiles"]["files"][0]["uploadUrl"].as_str().unwrap().to_owned();
    assert_eq!(send("PUT", &put, &[], "x").await.status, 200);
    let query = "{ model(name: \"p\", entityName: \"me\") { bucket(name: \"r\") {
        files(names: [\"a\"]) { edges { node { directUrl } } } } } }";
    let answer = server.ask_as(&made.secret, query, json!({})).await.json();
    let node = &answer["data"]["model"]["bucket"]["files"]["edges"][0]["node"];
    let get = node["directUrl"].as_str().unwrap().to_owned();
    assert_eq!(send("GET", &get, &[], "").await.text(), "x");

    assert!(server.catalog().revoke_key(&made.key.id).await.unwrap());
    assert_eq!(send("PUT", &put, &[], "y").await.status, 403);
    assert_eq!(send("GET", &get, &[], "").await.status, 403);
    // Another key's id does not help: the id is signed.
    let other = server.catalog().add_key("other", Some("me"), Right::Write).await.unwrap();
    let forged = put.replace(&made.key.id, &other.key.id);
    assert_ne!(forged, put);
    assert_eq!(send("PUT", &forged, &[], "y").await.status, 403);
}

#[tokio::test]
async fn uploads_are_checked_for_size_and_hash() {
    let server = Running::start_with(|config| config.wandb.max_file_bytes = 4).await;
    server.make_run("me", "p", "r").await;
    let url = announce(&server, "a.txt").await;
    assert_eq!(send("PUT", &url, &[], "12345").await.status, 413);
    assert_eq!(server.get("/files/me/p/r/a.txt").await.status, 404);
    // Our own client puts the content's hash into the file name.
    let url = announce(&server, &format!("media/images/{}.png", "0".repeat(64))).await;
    assert_eq!(send("PUT", &url, &[], "1234").await.status, 400);
}

/// Returns the files and folders below a folder, with their lengths and the times of their last
/// change.
fn listing(folder: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let about = std::fs::metadata(&path).unwrap();
        found.insert(path.clone(), (about.len(), about.modified().unwrap()));
        if about.is_dir() {
            found.append(&mut listing(&path));
        }
    }
    found
}

#[tokio::test]
async fn a_second_server_is_refused_and_changes_nothing() {
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    server.append("me/p/t", r#"{"a":1}"#).await;
    let url = announce(&server, "a.txt").await;
    let target = url.strip_prefix(&server.url).unwrap();
    let head = format!(
        "PUT {target} HTTP/1.1\r\nHost: {}\r\nContent-Length: 10\r\n\r\n01234",
        server.host()
    );
    let mut upload = tokio::net::TcpStream::connect(server.host()).await.unwrap();
    upload.write_all(head.as_bytes()).await.unwrap();
    let folder = server.folder.path();
    // The upload is in its file, and the maintenance at the start has ended.
    let is_quiet = || {
        let incoming = std::fs::read_dir(folder.join("files/incoming")).unwrap().count();
        incoming == 1 && folder.join("catalog-copies/000001.db").exists()
    };
    while !is_quiet() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let before = listing(folder);
    for lost_catalog in [LostCatalog::Refuse, LostCatalog::UseCopy, LostCatalog::BeginEmpty] {
        let config = ServerConfig {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data_dir: folder.to_owned(),
            lost_catalog,
            ..ServerConfig::default()
        };
        let error = Server::bind(config).await.unwrap_err().to_string();
        assert!(error.contains("another"), "{error}");
    }
    assert_eq!(listing(folder), before);
    upload.write_all(b"56789").await.unwrap();
    let mut answer = [0; 15];
    upload.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    assert_eq!(server.get("/files/me/p/r/a.txt").await.text(), "0123456789");
    let url = announce(&server, "b.txt").await;
    assert_eq!(send("PUT", &url, &[], "new").await.status, 200);
    server.append("me/p/t", r#"{"a":2}"#).await;
    assert_eq!(server.get("/api/tables/me/p/t").await.json()["rows"], 2);
}
