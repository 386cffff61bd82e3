//! Whole folders that are lost, older, swapped, copied or linked.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use streamtable_schema::TablePath;
use streamtable_store::{Append as _, Batch, ProblemKind, Read as _, Store as _};
use streamtable_store_embedded::EmbeddedStore;

use crate::support::{Folder, batch};

const TABLES: [&str; 2] = ["me/shop/a", "me/shop/b"];

async fn append(store: &EmbeddedStore, table: &str, lines: std::ops::Range<u64>) {
    let texts = lines.clone().map(|n| format!(r#"{{"n":{n},"table":"{table}"}}"#)).collect();
    let batch = Batch { table: table.parse().unwrap(), ..batch("w", lines.start, texts) };
    store.append(batch).await.unwrap();
}

/// Returns how many rows a table has. All of them must be its own.
async fn count(store: &EmbeddedStore, table: &str) -> usize {
    let path: TablePath = table.parse().unwrap();
    let rows = store.read(&path, 0, 10_000).await.unwrap();
    for row in &rows {
        assert_eq!(row.row.get("table").unwrap(), &streamtable_schema::Value::from(table));
    }
    rows.len()
}

async fn kinds(store: &EmbeddedStore) -> Vec<ProblemKind> {
    store.health().await.problems().map(|(_, problem)| problem.kind).collect()
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// Drops a store, and waits until it has released its folder.
fn kill(store: EmbeddedStore, folder: &Folder) {
    drop(store);
    fs::File::open(folder.path().join("lock")).unwrap().lock().unwrap();
}

/// Makes a folder in which each table has 20 flushed rows and 10 in the log.
async fn folder() -> Folder {
    let folder = Folder::new();
    for lines in [0..10, 10..20] {
        let store = folder.open().await;
        for table in TABLES {
            append(&store, table, lines.clone()).await;
        }
        store.flush().await.unwrap();
        if lines.start == 0 {
            for table in TABLES {
                append(&store, table, 100..105).await;
            }
            kill(store, &folder);
            copy(&folder.path().join("log"), &folder.path().join("older"));
        }
    }
    let store = folder.open().await;
    for table in TABLES {
        append(&store, table, 20..25).await;
    }
    kill(store, &folder);
    folder
}

/// Damages a store folder.
type Damage = fn(&Path);

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_older_log_is_reported() {
    let cases: [(&str, Damage); 4] = [
        ("lost", |root| fs::remove_dir_all(root.join("log")).unwrap()),
        ("empty", |root| {
            fs::remove_dir_all(root.join("log")).unwrap();
            fs::create_dir(root.join("log")).unwrap();
        }),
        ("older", |root| {
            fs::remove_dir_all(root.join("log")).unwrap();
            fs::rename(root.join("older"), root.join("log")).unwrap();
        }),
        ("without marks", |root| {
            for name in ["mark-0", "mark-1"] {
                fs::remove_file(root.join("log").join(name)).unwrap();
            }
        }),
    ];
    for (case, damage) in cases {
        let folder = folder().await;
        damage(folder.path());
        let store = folder.open().await;
        assert!(kinds(&store).await.contains(&ProblemKind::LogIncomplete), "{case}");
        let health = store.health().await;
        let detail = &health.store.last().unwrap().detail;
        assert!(detail.contains("me/shop/a from position"), "{case}: {detail}");
        for table in TABLES {
            assert!(count(&store, table).await >= 25, "{case}");
            append(&store, table, 200..210).await;
        }
        store.flush().await.unwrap();
        store.close().await.unwrap();
        drop(store);
        let store = folder.open().await;
        for table in TABLES {
            assert!(count(&store, table).await >= 35, "{case}");
        }
        assert!(!kinds(&store).await.contains(&ProblemKind::LogIncomplete), "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_another_table_is_set_aside() {
    let folder = folder().await;
    let [a, b] = TABLES.map(|table| folder.path().join("tables").join(table));
    let other = folder.path().join("tables/me/shop/other");
    fs::rename(&a, &other).unwrap();
    fs::rename(&b, &a).unwrap();
    fs::rename(&other, &b).unwrap();
    for _ in 0..2 {
        let store = folder.open().await;
        for table in TABLES {
            // Only the rows of its own that are in the log.
            assert!(count(&store, table).await <= 5);
        }
        store.close().await.unwrap();
    }
    assert_eq!(fs::read_dir(folder.path().join("damaged")).unwrap().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_tables_folder_is_no_table() {
    let folder = folder().await;
    let a = folder.path().join("tables/me/shop/a");
    copy(&a, &folder.path().join("tables/me/shop/z"));
    let store = folder.open().await;
    assert_eq!(kinds(&store).await, [ProblemKind::TableLost]);
    assert!(store.health().await.store[0].detail.contains("it is the folder of me/shop/a"));
    assert_eq!(count(&store, "me/shop/a").await, 30);
    assert_eq!(count(&store, "me/shop/z").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_to_folders_are_followed() {
    for linked in ["tables", "tables/me", "tables/me/shop", "tables/me/shop/a"] {
        let folder = folder().await;
        let place = folder.path().join(linked);
        let target = folder.path().join("moved");
        fs::rename(&place, &target).unwrap();
        symlink(&target, &place).unwrap();
        for rows in [30, 35] {
            let store = folder.open().await;
            assert_eq!(kinds(&store).await, [], "{linked}");
            for table in TABLES {
                assert_eq!(count(&store, table).await, rows, "{linked}");
                append(&store, table, 200..205).await;
            }
            store.close().await.unwrap();
        }
        fs::remove_file(&place).unwrap();
        fs::rename(&target, &place).unwrap();
        let store = folder.open().await;
        assert_eq!(kinds(&store).await, [], "{linked}");
        for table in TABLES {
            assert_eq!(count(&store, table).await, 35, "{linked}");
        }
    }
}
