//! The order of rows if files have several row groups.

use std::cmp::Reverse;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use streamtable_schema::Timestamp;
use streamtable_store::{Append as _, Batch, Read as _};

use crate::support::{Folder, ask, batch, log, number, table};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_files_are_read_in_order() {
    let folder = Folder::new();
    let store = folder.open().await;
    for first in 0..15_u64 {
        log(&store, "w", first * 10_000..(first + 1) * 10_000).await;
    }
    store.flush().await.unwrap();
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
    // A limit returns the oldest matching rows.
    for (sql, first) in [
        ("select n from requests where n >= 7 limit 5", 7),
        ("select n from requests where n % 2 = 0 limit 5", 0),
        ("select n from requests limit 5", 0),
    ] {
        assert_eq!(number(&store, sql).await, first, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_rows_are_found_in_whatever_order_they_came() {
    let folder = Folder::new();
    let store = folder.open().await;
    let mut rows = Vec::new();
    // The sixth file has two row groups, and the last rows stay in memory.
    for (i, count) in [40, 7, 40, 1, 40, 140_000, 40, 9].into_iter().enumerate() {
        let at = (i as i64 * 5) % 8;
        let first = rows.len() as i64;
        rows.extend((first..first + count).map(|n| (at, n)));
        let texts = (first..first + count).map(|n| format!(r#"{{"n":{n}}}"#)).collect();
        let received_at = Timestamp::from_millis(at);
        store.append(Batch { received_at, ..batch("w", first as u64, texts) }).await.unwrap();
        if i < 7 {
            store.flush().await.unwrap();
        }
    }
    rows.sort_by_key(|&row| Reverse(row));
    for (filter, remainder) in [("true", None), ("n % 3 = 1", Some(1))] {
        let sql = format!(
            "select n from requests where {filter} order by timestamp desc, n desc limit 100"
        );
        let found: Vec<i64> = ask(&store, &sql)
            .await
            .iter()
            .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
            .collect();
        let is_wanted = |n: &i64| remainder.is_none_or(|it| n % 3 == it);
        let newest = rows.iter().map(|&(_, n)| n).filter(is_wanted).take(100);
        assert_eq!(found, newest.collect::<Vec<_>>(), "{sql}");
        let plan = ask(&store, &format!("explain {sql}")).await;
        let plan = format!("{plan:?}");
        assert!(plan.contains("reverse_row_groups=true"), "{plan}");
        // File names begin with the position of their first row.
        let first = plan.split("part-").nth(1).map(|name| &name[..12]);
        assert_eq!(first, Some("000000140128"), "{plan}");
    }
}
