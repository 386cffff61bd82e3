//! The backend passes the suite, and programs can rely on it.

use streamtable::conformance::{FaultyBackend, Suite};
use streamtable::spool::SpoolConfig;
use streamtable::{Refusal, Settings, StreamTable, row};
use streamtable_sqlite_backend::Sqlite;

#[tokio::test]
async fn the_backend_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.db");
    let (make, rows, files) = (path.clone(), path.clone(), path);
    let suite = Suite::new(
        move || Sqlite::open(&make).unwrap(),
        move |table| {
            let rows = Sqlite::open(&rows).and_then(|database| database.rows(&table));
            std::future::ready(rows)
        },
    );
    let suite = suite.with_media(move |table, path| {
        let bytes = Sqlite::open(&files).and_then(|database| database.file(&table, &path));
        std::future::ready(bytes)
    });
    suite.assert_conforms().await;
}

/// The client, its spool and the database together, over two runs of a program.
#[tokio::test]
async fn a_program_resumes_with_its_spool() {
    let dir = tempfile::tempdir().unwrap();
    let spool = SpoolConfig { dir: Some(dir.path().join("spool")), ..SpoolConfig::default() };
    let database = Sqlite::open(dir.path().join("rows.db")).unwrap();
    let open = async |plan: &str| {
        let backend = FaultyBackend::new(database.clone(), plan.parse().unwrap());
        let builder = StreamTable::builder("me/shop/requests").settings(Settings::default());
        builder.spool(spool.clone()).backend(backend).open().await.unwrap()
    };
    let table = open("0 after; 1 halfway").await;
    table.log((0..100).map(|n| row! { "n" => n, "path" => "/" })).await.unwrap();
    assert_eq!(table.finish().await.unwrap().acked, 100);

    let table = open("").await;
    let error = table.log(row! { "n" => 1 }).await.unwrap_err();
    assert!(matches!(error.refused[0].reason, Refusal::Schema(_)), "{error}");
    table.log(row! { "n" => 100, "path" => "/" }).await.unwrap();
    table.finish().await.unwrap();
    assert_eq!(database.rows(table.path()).unwrap().len(), 101);
}
