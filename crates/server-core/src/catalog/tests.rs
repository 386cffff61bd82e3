use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use rusqlite::Connection;

use super::copies::Copies;
use super::{Catalog, CatalogError, FeatureTables, LostCatalog, MAX_READERS};
use crate::Right;

#[tokio::test]
async fn a_catalog_of_version_1_keeps_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    // Version 1 had runs, but no boards.
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("keys.sql")).unwrap();
    old.execute_batch("CREATE TABLE runs (id INTEGER)").unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    let secret = "0123456789abcdef0123456789abcdef01234567";
    {
        let old = Connection::open(&path).unwrap();
        old.execute(
            "INSERT INTO keys (id, hash, name, entity, access, created_at) VALUES
             ('1', ?1, 'ann', 'me', 1, 5), ('2', x'00', 'gone', NULL, 2, 6)",
            [super::keys::hash(secret)],
        )
        .unwrap();
        old.execute("UPDATE keys SET revoked_at = 7 WHERE id = '2'", []).unwrap();
    }

    let boards =
        FeatureTables { feature: "boards", versions: &["CREATE TABLE boards (id INTEGER)"] };
    let wandb = FeatureTables {
        feature: "wandb",
        versions: &["CREATE TABLE runs (id INTEGER)", "ALTER TABLE runs ADD COLUMN added INTEGER"],
    };
    for _ in 0..2 {
        let catalog = Catalog::open_with(&path, &[boards, wandb]).unwrap();
        let key = catalog.key_of(secret).await.unwrap().unwrap();
        assert_eq!(
            (key.name.as_str(), key.entity.as_deref(), key.right),
            ("ann", Some("me"), Right::Write)
        );
        let keys = catalog.keys().await.unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[1].revoked_at.map(|at| at.as_millis()), Some(7));
        // The tables for boards were created, and the second version of those of runs.
        let count = catalog.read(|db| {
            let sql = "SELECT (SELECT count(*) FROM boards) + (SELECT count(added) FROM runs)";
            Ok(db.query_row(sql, [], |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(count.await.unwrap(), 0);
    }
    // A server without features keeps their tables.
    let catalog = Catalog::open(&path).unwrap();
    let versions = catalog.read(|db| {
        let mut query = db.prepare("SELECT name, version FROM features ORDER BY name")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<Vec<(String, i64)>, _>>()?)
    });
    assert_eq!(versions.await.unwrap(), [("boards".into(), 1), ("wandb".into(), 2)]);
}

#[test]
fn a_newer_catalog_is_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    drop(Catalog::open(&path).unwrap());
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 77).unwrap();
    drop(newer);
    let error = Catalog::open(&path).unwrap_err();
    assert!(matches!(error, CatalogError::Newer { version: 77 }), "{error}");
}

#[test]
fn newer_tables_of_a_feature_are_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    let newer = FeatureTables { feature: "boards", versions: &["", "", ""] };
    drop(Catalog::open_with(&path, &[newer]).unwrap());
    let older = FeatureTables { feature: "boards", versions: &["", ""] };
    let error = Catalog::open_with(&path, &[older]).unwrap_err();
    assert!(matches!(error, CatalogError::Newer { version: 3 }), "{error}");
}

/// Waiting calls use no thread: otherwise many clients could make the server start hundreds of
/// threads, each with a stack.
#[tokio::test]
async fn concurrent_reads_and_writes_are_limited() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db")).unwrap();
    let (working, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let work = || {
        let (working, most) = (Arc::clone(&working), Arc::clone(&most));
        move || {
            most.fetch_max(working.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(2));
            working.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    };
    let reads = (0..40).map(|_| {
        let work = work();
        catalog.read(move |_| work())
    });
    join_all(reads).await.into_iter().for_each(Result::unwrap);
    assert!((2..=MAX_READERS).contains(&most.load(Ordering::SeqCst)), "{most:?} read at once");

    let writes = (0..20).map(|_| super::blocking(&catalog.0.writing, work()));
    most.store(0, Ordering::SeqCst);
    join_all(writes).await.into_iter().for_each(Result::unwrap);
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

/// The files of a killed server's catalog: nothing of the write-ahead log is in the database yet.
struct Killed {
    files: Vec<(&'static str, Vec<u8>)>,
    secrets: Vec<String>,
}

impl Killed {
    async fn with_keys(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db")).unwrap();
        let mut secrets = Vec::new();
        for n in 0..count {
            let key = catalog.add_key(&format!("k{n}"), None, Right::Read).await.unwrap();
            secrets.push(key.secret);
        }
        let files = ["catalog.db", "catalog.db-wal", "catalog.generation"];
        let read = |name| (name, std::fs::read(folder.path().join(name)).unwrap());
        Self { files: files.into_iter().map(read).collect(), secrets }
    }

    fn file(&mut self, name: &str) -> &mut Vec<u8> {
        let (_, bytes) = self.files.iter_mut().find(|(found, _)| *found == name).unwrap();
        bytes
    }

    /// Opens the catalog, and returns the number of keys found and the reported problems.
    async fn open(&self) -> Result<(usize, Vec<String>), CatalogError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in &self.files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let catalog = Catalog::open(&folder.path().join("catalog.db"))?;
        let mut found = 0;
        for secret in &self.secrets {
            found += usize::from(catalog.key_of(secret).await?.is_some());
        }
        Ok((found, catalog.problems()))
    }
}

#[tokio::test]
async fn lost_keys_are_reported_after_a_bit_flip_in_the_log() {
    let mut killed = Killed::with_keys(3).await;
    let (found, problems) = killed.open().await.unwrap();
    assert_eq!((found, problems.len()), (3, 0));
    let (mut lost, mut refused) = (0, 0);
    for at in (0..killed.file("catalog.db-wal").len()).step_by(211) {
        killed.file("catalog.db-wal")[at] ^= 1;
        match killed.open().await {
            Ok((3, _)) => {}
            Ok((_, problems)) => {
                assert_eq!(problems.len(), 1, "byte {at}");
                lost += 1;
            }
            Err(CatalogError::Lost { .. } | CatalogError::Damaged { .. }) => refused += 1,
            Err(error) => panic!("byte {at}: {error}"),
        }
        killed.file("catalog.db-wal")[at] ^= 1;
    }
    assert!(lost > 0 && refused > 0, "{lost} {refused}");
}

#[tokio::test]
async fn a_missing_or_truncated_log_is_reported() {
    let mut killed = Killed::with_keys(3).await;
    let whole = killed.file("catalog.db-wal").clone();
    for end in [0, 32, whole.len() / 2, whole.len() - 1] {
        *killed.file("catalog.db-wal") = whole[..end].to_vec();
        match killed.open().await {
            Ok((found, problems)) => {
                assert!(found < 3 && problems.len() == 1, "{end}: {found} {problems:?}");
            }
            Err(error) => assert!(matches!(error, CatalogError::Lost { .. }), "{end}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_loss_is_reported_once() {
    let mut killed = Killed::with_keys(3).await;
    let end = killed.file("catalog.db-wal").len() - 1;
    killed.file("catalog.db-wal").truncate(end);
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in &killed.files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let path = folder.path().join("catalog.db");
    for expected in [1, 0] {
        assert_eq!(Catalog::open(&path).unwrap().problems().len(), expected);
    }
}

/// `keys add` opens the catalog of a running server.
#[tokio::test]
async fn two_processes_can_change_one_catalog() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    let server = Catalog::open(&path).unwrap();
    for n in 0..5 {
        let command = Catalog::open(&path).unwrap();
        let name = format!("k{n}");
        let key = command.add_key(&name, None, Right::Read).await.unwrap();
        drop(command);
        assert!(server.key_of(&key.secret).await.unwrap().is_some());
        server.revoke_key(&key.key.id).await.unwrap();
        server.maintain().await.unwrap();
    }
    drop(server);
    assert_eq!(Catalog::open(&path).unwrap().problems(), Vec::<String>::new());
}

#[tokio::test]
async fn the_last_daily_copies_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    let catalog = Catalog::open(&path).unwrap();
    let copies = Copies::of(&path);
    let files = || {
        let entries = std::fs::read_dir(folder.path().join("catalog-copies")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    catalog.maintain().await.unwrap();
    catalog.maintain().await.unwrap();
    assert_eq!(files(), ["000001.db"]);
    // A catalog without a key is not usable as a copy.
    assert!(copies.newest_usable().0.is_none());

    let key = catalog.add_key("k", None, Right::Read).await.unwrap();
    let day = Duration::from_secs(25 * 3600);
    let shifts: [fn(std::time::SystemTime, Duration) -> std::time::SystemTime; 2] =
        [|now, day| now - day, |now, day| now + day];
    for n in 0..6 {
        let newest = folder.path().join("catalog-copies").join(files().pop().unwrap());
        let file = std::fs::File::options().write(true).open(newest).unwrap();
        file.set_modified(shifts[n % 2](crate::clock::now(), day)).unwrap();
        catalog.maintain().await.unwrap();
    }
    let kept = ["000003.db", "000004.db", "000005.db", "000006.db", "000007.db"];
    assert_eq!(files(), kept);

    // The newest copy may be damaged.
    std::fs::write(folder.path().join("catalog-copies/000007.db"), "damaged").unwrap();
    let (copy, problems) = copies.newest_usable();
    let copy = copy.unwrap();
    assert_eq!(problems, ["the daily copy catalog-copies/000007.db of the catalog is damaged"]);
    assert!(copy.path.ends_with("000006.db"), "{copy:?}");
    drop(catalog);
    copies.set_catalog_aside(false).unwrap();
    copies.restore(&copy).unwrap();
    let restored = Catalog::open(&path).unwrap();
    assert!(restored.key_of(&key.secret).await.unwrap().is_some());
    assert_eq!(restored.problems(), Vec::<String>::new());
}

/// Puts something in the place of a file that cannot be read as a file.
#[cfg(unix)]
const OBSTACLES: [fn(&std::path::Path); 2] = [
    |path| std::fs::create_dir(path).unwrap(),
    |path| std::os::unix::fs::symlink(path.file_name().unwrap(), path).unwrap(),
];

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    let key = Catalog::open(&path).unwrap().add_key("k", None, Right::Read).await.unwrap();
    for name in ["catalog.db", "catalog.db-wal", "catalog.db-shm", "catalog.generation"] {
        let (file, kept) = (folder.path().join(name), folder.path().join("kept"));
        for obstacle in OBSTACLES {
            let is_there = file.exists();
            if is_there {
                std::fs::rename(&file, &kept).unwrap();
            }
            obstacle(&file);
            for lost in [LostCatalog::Refuse, LostCatalog::UseCopy, LostCatalog::BeginEmpty] {
                let opened = Catalog::open_for_server(&path, &[], true, lost);
                // Not damage: nothing is moved aside.
                let error = opened.unwrap_err();
                let is_right =
                    matches!(error, CatalogError::Unavailable { .. } | CatalogError::Failed { .. });
                let text = error.to_string();
                assert!(is_right && text.contains(file.to_str().unwrap()), "{name}: {text}");
            }
            std::fs::remove_dir(&file).or_else(|_| std::fs::remove_file(&file)).unwrap();
            if is_there {
                std::fs::rename(&kept, &file).unwrap();
            }
        }
    }
    let catalog = Catalog::open_for_server(&path, &[], true, LostCatalog::Refuse).unwrap();
    assert!(catalog.key_of(&key.secret).await.unwrap().is_some());
    assert_eq!(catalog.problems(), Vec::<String>::new());
}

#[cfg(unix)]
#[tokio::test]
async fn copies_that_cannot_be_read_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    let catalog = Catalog::open(&path).unwrap();
    catalog.add_key("k", None, Right::Read).await.unwrap();
    catalog.maintain().await.unwrap();
    drop(catalog);
    let open =
        || Catalog::open_for_server(&path, &[], true, LostCatalog::Refuse).unwrap().problems();
    let copy = folder.path().join("catalog-copies/000001.db");
    for obstacle in OBSTACLES {
        std::fs::remove_dir(&copy).or_else(|_| std::fs::remove_file(&copy)).unwrap();
        obstacle(&copy);
        let said = "the daily copy catalog-copies/000001.db of the catalog cannot be read";
        assert_eq!(open(), [said]);
    }
    let copies = folder.path().join("catalog-copies");
    std::fs::remove_dir_all(&copies).unwrap();
    std::fs::write(&copies, "no folder").unwrap();
    let problems = open();
    assert!(problems[0].starts_with("the catalog's daily copies cannot be listed"), "{problems:?}");
}
