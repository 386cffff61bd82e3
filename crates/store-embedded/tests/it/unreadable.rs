//! What the system cannot read is not damage: it stays in its place, is reported and tried again.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use streamtable_store::{Append as _, ProblemKind, Store as _};
use streamtable_store_embedded::EmbeddedStore;

use crate::support::{Folder, lines, log, number};

async fn kinds(store: &EmbeddedStore) -> Vec<ProblemKind> {
    store.health().await.problems().map(|(_, problem)| problem.kind).collect()
}

/// Something that has the name of a file and cannot be read as one.
type Obstacle = fn(&Path);

const OBSTACLES: [(&str, Obstacle); 3] = [
    ("folder", |path| fs::create_dir(path).unwrap()),
    ("link loop", |path| symlink(path, path).unwrap()),
    ("pipe", |path| {
        let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    }),
];

/// Moves a file away and puts an obstacle in its place. Returns where the file is.
fn block(path: &Path, obstacle: Obstacle) -> PathBuf {
    let kept = path.with_extension("kept");
    fs::rename(path, &kept).unwrap();
    obstacle(path);
    kept
}

fn unblock(path: &Path, kept: &Path) {
    if fs::remove_file(path).is_err() {
        fs::remove_dir(path).unwrap();
    }
    fs::rename(kept, path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_served_again_later() {
    // The query engine would wait for a writer of a pipe.
    for (name, obstacle) in &OBSTACLES[..2] {
        let folder = Folder::new();
        let store = folder.open().await;
        for first in [0, 10, 20] {
            log(&store, "w", first..first + 10).await;
            store.flush().await.unwrap();
        }
        let path = folder.files("tables", ".parquet")[1].clone();
        let kept = block(&path, *obstacle);
        let others: Vec<u64> = (0..10).chain(20..30).collect();
        assert_eq!(lines(&store, "w").await, others, "{name}");
        assert_eq!(number(&store, "select count(*) from requests").await, 20, "{name}");
        assert_eq!(kinds(&store).await, [ProblemKind::Unreadable], "{name}");
        // Later rows are flushed.
        log(&store, "w", 30..40).await;
        store.flush().await.unwrap();
        store.close().await.unwrap();
        drop(store);

        let store = folder.open().await;
        store.verify().await.unwrap();
        assert_eq!(lines(&store, "w").await.len(), 30, "{name}");
        assert_eq!(kinds(&store).await, [ProblemKind::Unreadable], "{name}");
        unblock(&path, &kept);
        store.verify().await.unwrap();
        assert_eq!(lines(&store, "w").await, (0..40).collect::<Vec<_>>(), "{name}");
        assert_eq!(kinds(&store).await, [], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_file_that_cannot_be_read_stops_no_start() {
    for (name, obstacle) in OBSTACLES {
        let folder = Folder::new();
        for first in [0, 10, 20] {
            // Each start creates a new file.
            log(&folder.open().await, "w", first..first + 10).await;
        }
        let path = folder.files("log", ".log")[1].clone();
        let kept = block(&path, obstacle);
        let store = folder.open().await;
        assert_eq!(lines(&store, "w").await.len(), 20, "{name}");
        assert!(kinds(&store).await.contains(&ProblemKind::Unreadable), "{name}");
        assert!(kinds(&store).await.contains(&ProblemKind::LogIncomplete), "{name}");
        drop(store);
        unblock(&path, &kept);
        let store = folder.open().await;
        assert_eq!(lines(&store, "w").await, (0..30).collect::<Vec<_>>(), "{name}");
        assert_eq!(kinds(&store).await, [], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_names_are_reported_and_left_alone() {
    let folder = Folder::new();
    log(&folder.open().await, "w", 0..10).await;
    let strange = ["log/18446744073709551615.log", "log/notes", "tables/notes", "tables/me/notes"];
    fs::create_dir_all(folder.path().join("tables/me")).unwrap();
    for name in strange {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let store = folder.open().await;
    assert_eq!(lines(&store, "w").await.len(), 10);
    assert_eq!(kinds(&store).await, [ProblemKind::Unreadable; 4]);
    log(&store, "w", 10..20).await;
    store.flush().await.unwrap();
    store.close().await.unwrap();
    for name in strange {
        assert!(folder.path().join(name).exists(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_folder_cannot_be_read_keeps_its_rows() {
    let folder = Folder::new();
    let store = folder.open().await;
    log(&store, "w", 0..10).await;
    store.flush().await.unwrap();
    log(&store, "w", 10..20).await;
    drop(store);
    let place = folder.path().join("tables/me/shop");
    let kept = folder.path().join("kept");
    fs::rename(&place, &kept).unwrap();
    symlink(&place, &place).unwrap();
    let store = folder.open().await;
    assert!(kinds(&store).await.contains(&ProblemKind::Unreadable));
    let refused = store.append(crate::support::batch("w", 20, vec!["{}".into()])).await;
    assert!(refused.unwrap_err().is_retryable());
    store.flush().await.unwrap();
    store.close().await.unwrap();
    drop(store);
    unblock(&place, &kept);
    let store = folder.open().await;
    assert_eq!(lines(&store, "w").await, (0..20).collect::<Vec<_>>());
    assert_eq!(kinds(&store).await, []);
}
