//! Tables of very many columns.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use streamtable_schema::Value;
use streamtable_store::{Append as _, Read as _, Store as _};

use crate::support::{Folder, ask, batch, number, table};

fn row(columns: usize, n: usize) -> String {
    let cells: Vec<String> = (0..columns).map(|i| format!("\"c{i}\":{}", i + n)).collect();
    format!("{{{}}}", cells.join(","))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_columns_can_be_read() {
    const COLUMNS: usize = 10_000;
    let folder = Folder::new();
    let store = folder.open().await;
    let lines = vec![row(COLUMNS, 0), r#"{"c7":70}"#.to_owned()];
    store.append(batch("w", 0, lines)).await.unwrap();
    for is_flushed in [false, true] {
        if is_flushed {
            store.flush().await.unwrap();
        }
        assert_eq!(number(&store, "select sum(c7) from requests").await, 77);
        assert_eq!(number(&store, "select c9999 from requests where c7 < 10").await, 9999);
        assert_eq!(number(&store, "select count(*) from requests").await, 2);
        let rows = store.read(&table(), 0, 10).await.unwrap();
        assert_eq!(rows[0].row.len(), COLUMNS);
        assert_eq!(rows[1].row.cells().collect::<Vec<_>>(), [("c7", &Value::from(70))]);
    }
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wide_tables_answer_by_name_as_they_answer_with_all_columns() {
    let folder = Folder::new();
    let store = folder.open().await;
    let lines = vec![
        row(150, 0),
        r#"{"mixed":1,"_writer":"own","timestamp":"noon","Big Name":1,"c3":"text"}"#.to_owned(),
        r#"{"mixed":"one","c3":4.5,"o":{"a":[5]}}"#.to_owned(),
        r#"{"mixed":null,"c4":2.5}"#.to_owned(),
    ];
    store.append(batch("w", 0, lines)).await.unwrap();
    for is_flushed in [false, true] {
        if is_flushed {
            store.flush().await.unwrap();
        }
        for (columns, rest) in [
            ("c1, c149", ""),
            ("t.mixed.n, t.mixed.s, \"Big Name\"", "where t.mixed is not null"),
            ("_line, _writer, _writer_, timestamp, _timestamp", "order by _line desc"),
            ("c3, c4*2", "where c4 is not null"),
            ("json_get_int(o, 'a', 0)", "where o is not null"),
            ("count(*), sum(c4)", "group by t.c3.s order by 1, 2"),
        ] {
            let named = format!("select {columns} from requests t {rest}");
            let all = format!("select {columns} from (select * from requests) t {rest}");
            let (named, all) = (ask(&store, &named).await, ask(&store, &all).await);
            let whole = |it: &[RecordBatch]| concat_batches(&it[0].schema(), it).unwrap();
            assert_eq!(whole(&named), whole(&all), "{columns} {rest}");
        }
    }
    store.close().await.unwrap();
}
