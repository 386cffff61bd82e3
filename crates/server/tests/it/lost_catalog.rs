//! A lost or damaged catalog is never mistaken for a first start.

use std::path::PathBuf;

use streamtable_server::{CatalogError, LostCatalog, ServerError};

use crate::support::{Running, basic, send};

/// Starts a server, stores a row, and stops the server.
async fn stopped_with_a_row() -> Running {
    let mut server = Running::start().await;
    server.append("me/p/r", r#"{"a":1}"#).await;
    server.stop().await;
    server
}

impl Running {
    fn catalog_file(&self) -> PathBuf {
        self.folder.path().join("catalog.db")
    }

    /// Starts the server again, and returns why that fails.
    async fn refused(&mut self, lost: LostCatalog) -> String {
        let again = self.start_again(|config| config.lost_catalog = lost).await;
        match again.expect_err("the server starts") {
            ServerError::Catalog(error @ CatalogError::Lost { .. }) => error.to_string(),
            other => panic!("{other}"),
        }
    }

    async fn has_its_row(&self) -> bool {
        let rows = self.get("/api/tables/me/p/r/rows").await;
        rows.status == 200 && rows.text().contains("\"a\":1")
    }
}

#[tokio::test]
async fn a_missing_catalog_is_not_a_first_start() {
    let mut server = stopped_with_a_row().await;
    let old_key = server.key.clone();
    let folder = server.folder.path().to_owned();
    // First only the record shows that there was a catalog, then only the tables do.
    for name in ["catalog.db", "catalog.generation"] {
        std::fs::remove_file(folder.join(name)).unwrap();
        let said = server.refused(LostCatalog::Refuse).await;
        assert!(said.contains("`--lost-catalog copy`") && said.contains("empty`"), "{said}");
        std::fs::remove_file(folder.join("catalog.db")).unwrap();
    }

    let copy = async |server: &mut Running| {
        server.start_again(|config| config.lost_catalog = LostCatalog::UseCopy).await.unwrap();
    };
    copy(&mut server).await;
    assert!(server.has_its_row().await);
    let ready = server.get("/readyz").await.json();
    assert_eq!(ready["ready"], true);
    assert!(ready["problems"][0].as_str().unwrap().contains("replaced"), "{ready}");
    // Later starts find no problems, with or without the flag.
    let lines = ready["problems"].as_array().unwrap().len();
    assert_eq!(lines, 1);
    copy(&mut server).await;
    assert_eq!(server.get("/readyz").await.json()["problems"].as_array().unwrap().len(), 0);
    server.start_again(|_| {}).await.unwrap();
    assert_eq!(server.key, old_key);
}

#[tokio::test]
async fn an_empty_catalog_is_created_on_request() {
    let mut server = stopped_with_a_row().await;
    let old_key = server.key.clone();
    let folder = server.folder.path().to_owned();
    std::fs::write(server.catalog_file(), "").unwrap();
    std::fs::remove_dir_all(folder.join("catalog-copies")).unwrap();
    let said = server.refused(LostCatalog::Refuse).await;
    assert!(said.contains("no usable copy"), "{said}");
    server.refused(LostCatalog::UseCopy).await;
    server.start_again(|config| config.lost_catalog = LostCatalog::BeginEmpty).await.unwrap();
    assert_ne!(server.key, old_key);
    assert!(server.has_its_row().await);
    assert!(folder.join("catalog-aside-1/catalog.generation").exists());
    server.start_again(|_| {}).await.unwrap();
    assert!(server.has_its_row().await);
}

#[tokio::test]
async fn damaged_pages_are_found_at_startup() {
    let mut server = stopped_with_a_row().await;
    let path = server.catalog_file();
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 8192, "the catalog is in its file after a shutdown");
    bytes[4096..].fill(0x5a);
    std::fs::write(&path, &bytes).unwrap();
    let said = server.refused(LostCatalog::Refuse).await;
    assert!(said.contains("`--lost-catalog copy`"), "{said}");
    server.start_again(|config| config.lost_catalog = LostCatalog::UseCopy).await.unwrap();
    assert!(server.has_its_row().await);
    // The damaged file is kept.
    let aside = server.folder.path().join("catalog-aside-1/catalog.db");
    assert_eq!(std::fs::read(aside).unwrap(), bytes);
}

#[tokio::test]
async fn a_shutdown_leaves_the_catalog_in_one_file() {
    let server = stopped_with_a_row().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("catalog.db");
    std::fs::copy(server.catalog_file(), &copy).unwrap();
    let catalog = streamtable_server::Catalog::open(&copy).unwrap();
    assert_eq!(catalog.keys().await.unwrap().len(), 1);
}

/// Only the owner can open the daily copy and the files beside it, whatever the umask.
#[cfg(unix)]
#[tokio::test]
async fn catalog_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let server = stopped_with_a_row().await;
    for name in ["catalog.db", "catalog.generation", "catalog-copies/000001.db", "signing-key"] {
        let metadata = std::fs::metadata(server.folder.path().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

/// Until version 3, the tables of features were tables of the catalog itself.
#[tokio::test]
async fn a_catalog_of_version_3_keeps_the_tables_of_features() {
    let mut server = Running::start().await;
    let auth = basic(&server.key);
    let headers = [("authorization", auth.as_str()), ("content-type", "application/json")];
    let document = r#"{"format":1,"title":"A","panels":[]}"#;
    let path = "/api/boards/me/p/a";
    let saved = send("PUT", &format!("{}{path}", server.url), &headers, document).await;
    assert_eq!(saved.status, 201, "{}", saved.text());
    server.stop().await;
    let old = rusqlite::Connection::open(server.catalog_file()).unwrap();
    old.execute_batch("DROP TABLE features; PRAGMA user_version = 3").unwrap();
    // Version 3 had no monitors. The tables that refer to others go first.
    let sql = "SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema
               WHERE type = 'table' AND name LIKE 'monitor%' ORDER BY name)";
    let names: String = old.query_row(sql, [], |row| row.get(0)).unwrap();
    for name in names.split(',') {
        old.execute_batch(&format!("DROP TABLE {name}")).unwrap();
    }
    drop(old);

    server.restart().await;
    assert_eq!(server.get(path).await.status, 200);
    assert_eq!(server.get("/api/monitors/me/p").await.text(), "[]");
}
