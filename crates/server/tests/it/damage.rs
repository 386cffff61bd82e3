//! Damage in the store is reported, and costs no other table.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Running, send};

/// Returns the Parquet files of rows below a folder.
fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(parquet_files(&path));
        } else if path.extension().is_some_and(|it| it == "parquet") {
            found.push(path);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_file_is_reported_and_its_table_can_be_read() {
    let mut server = Running::start().await;
    for table in ["me/p/good", "me/p/bad"] {
        server.append(table, "{\"a\":1}\n{\"a\":2}").await;
    }
    let url = format!("{}/readyz", server.url);
    let ready = send("GET", &url, &[], "").await;
    assert_eq!((ready.status, &ready.json()["tables_with_problems"]), (200, &0.into()));
    server.stop().await;
    for file in parquet_files(&server.folder.path().join("store/tables/me/p/bad")) {
        fs::remove_file(file).unwrap();
    }
    server.restart().await;

    let rows = server.get("/api/tables/me/p/bad/rows").await;
    assert_eq!(rows.status, 200, "{}", rows.text());
    let url = format!("{}/readyz", server.url);
    let ready = send("GET", &url, &[], "").await;
    let expected = serde_json::json!({
        "ready": true, "problems": [],
        "tables_with_problems": 1, "store_problems": { "file_lost": 1 },
    });
    assert_eq!((ready.status, ready.json()), (200, expected));
    let tables = server.get("/api/tables").await.json();
    let tables = tables["tables"].as_array().unwrap();
    let [bad, good] = &tables[..] else { panic!("{tables:?}") };
    assert_eq!((&bad["rows"], &bad["problems"][0]["kind"]), (&0.into(), &"file_lost".into()));
    assert_eq!(bad["problems"][0]["rows"], 2);
    assert_eq!((&good["rows"], good.get("problems")), (&2.into(), None));
}

/// Announces a run's media file, and returns its upload URL unless the server has the file.
async fn announce(server: &Running, path: &str) -> Option<String> {
    let query = "mutation F($files: [String!]!) { createRunFiles(input: {entityName: \"me\",
        projectName: \"p\", runName: \"r\", files: $files}) { runID uploadHeaders
        files { name uploadUrl } } }";
    let data = server.ask(query, serde_json::json!({ "files": [path] })).await;
    data["createRunFiles"]["files"][0]["uploadUrl"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_damaged_media_file_is_reported_and_can_be_uploaded_again() {
    const SHA256: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let damages: [fn(&Path); 3] = [
        |path| fs::write(path, "jello").unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| fs::remove_file(path).unwrap(),
    ];
    let server = Running::start().await;
    server.make_run("me", "p", "r").await;
    let path = format!("media/images/{SHA256}.png");
    for damage in damages {
        let url = announce(&server, &path).await.unwrap();
        assert_eq!(send("PUT", &url, &[], "hello").await.status, 200);
        assert_eq!(announce(&server, &path).await, None);
        let ready = format!("{}/readyz", server.url);
        assert_eq!(
            send("GET", &ready, &[], "").await.json()["store_problems"],
            serde_json::json!({})
        );

        damage(&server.folder.path().join("files").join(&SHA256[..2]).join(SHA256));
        assert_eq!(server.get(&format!("/files/me/p/r/{path}")).await.status, 404);
        let problems = &send("GET", &ready, &[], "").await.json()["store_problems"];
        assert_eq!(*problems, serde_json::json!({ "media_lost": 1 }));
    }
}

#[tokio::test]
async fn a_damaged_signing_key_is_reported() {
    let mut server = Running::start().await;
    server.stop().await;
    fs::write(server.folder.path().join("signing-key"), [0; 120]).unwrap();
    server.restart().await;
    let ready = send("GET", &format!("{}/readyz", server.url), &[], "").await.json();
    let problem = ready["problems"][0].as_str().unwrap();
    assert!(problem.contains("signed links and sessions ended"), "{problem}");
}
