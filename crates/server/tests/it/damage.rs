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
