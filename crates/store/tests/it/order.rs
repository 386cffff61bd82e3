//! The order of rows, where files have several row groups.

use streamtable_store::Store;

use crate::support::{Folder, log, number, table};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_files_are_read_in_order() {
    let folder = Folder::new();
    let store = folder.open().await;
    for first in 0..15_u64 {
        log(&store, "w", first * 10_000..(first + 1) * 10_000).await;
    }
    store.put_to_rest().await.unwrap();
    log(&store, "w", 150_000..150_010).await;
    assert_eq!(folder.files("tables", ".parquet").len(), 1);
    let mut next = 0;
    while next < 150_010 {
        let page = store.read(&table(), next, 7_777).await.unwrap();
        assert!(!page.is_empty());
        for row in page {
            assert_eq!((row.position, row.line), (next, next));
            next += 1;
        }
    }
    // What a limit leaves are the oldest rows that fit.
    for (sql, first) in [
        ("select n from requests where n >= 7 limit 5", 7),
        ("select n from requests where n % 2 = 0 limit 5", 0),
        ("select n from requests limit 5", 0),
    ] {
        assert_eq!(number(&store, sql).await, first, "{sql}");
    }
}
