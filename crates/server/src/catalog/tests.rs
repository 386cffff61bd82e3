use rusqlite::Connection;

use super::{Catalog, CatalogError, SCHEMA};
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
