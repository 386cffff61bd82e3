use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use rusqlite::Connection;

use super::{Catalog, CatalogError, MAX_READERS, SCHEMA};
use crate::access::Right;

#[tokio::test]
async fn a_catalog_of_version_1_keeps_its_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    // Version 1 is what `schema.sql` alone makes: it had no boards.
    let old = Connection::open(&path).unwrap();
    old.execute_batch(SCHEMA).unwrap();
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

    for _ in 0..2 {
        let catalog = Catalog::open(&path).unwrap();
        let key = catalog.key_of(secret).await.unwrap().unwrap();
        assert_eq!(
            (key.name.as_str(), key.entity.as_deref(), key.right),
            ("ann", Some("me"), Right::Write)
        );
        let keys = catalog.keys().await.unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[1].revoked_at.map(|at| at.as_millis()), Some(7));
        // There is room for boards now.
        let boards = catalog.read(|db| {
            Ok(db.query_row("SELECT count(*) FROM boards", [], |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(boards.await.unwrap(), 0);
    }
}

#[test]
fn a_newer_catalog_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    drop(Catalog::open(&path).unwrap());
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 77).unwrap();
    drop(newer);
    let error = Catalog::open(&path).unwrap_err();
    assert!(matches!(error, CatalogError::Newer { version: 77 }), "{error}");
}

/// Who waits takes no thread: hundreds of them, each with memory of its own, are what many clients
/// would make of the server.
#[tokio::test]
async fn few_work_at_once_however_many_ask() {
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
