//! Pages that look at tables, over real sockets.

#[path = "../../../src/live/proto.rs"]
#[expect(dead_code, reason = "the server says more than these tests ask")]
mod proto;

mod page;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Running, basic, send};
use page::Page;
use proto::{Columns, Config, Filter, Names, Scalar, ScalarValue, Sort, SortOp, WhichColumns};

const TABLE: &str = "me/shop/requests";

impl Running {
    /// Appends rows, one a line of JSON.
    async fn log(&self, table: &str, lines: &[&str]) {
        let url = format!("{}/api/tables/{table}/rows", self.url);
        let headers =
            [("authorization", &*basic(&self.key)), ("content-type", "application/x-ndjson")];
        let answer = send("POST", &url, &headers, lines.join("\n")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

fn columns(names: &[&str]) -> Config {
    let names = Names { names: names.iter().map(|&it| it.to_owned()).collect() };
    Config {
        columns: Some(Columns { which: Some(WhichColumns::These(names)) }),
        ..Config::default()
    }
}

fn sort(column: &str, op: SortOp) -> Vec<Sort> {
    vec![Sort { column: column.to_owned(), op: op as i32 }]
}

fn filter(column: &str, op: &str, value: &[ScalarValue]) -> Filter {
    let value = value.iter().cloned().map(Scalar::from).collect();
    Filter { column: column.to_owned(), op: op.to_owned(), value }
}

fn text(text: &str) -> ScalarValue {
    ScalarValue::String(text.to_owned())
}

#[tokio::test]
async fn a_page_shows_a_table_and_its_new_rows() {
    let server = Running::start().await;
    server.log(TABLE, &[r#"{"path":"/","ms":7}"#, r#"{"path":"/a","ms":8}"#]).await;
    let mut page = Page::open(&server).await;
    assert_eq!(page.tables().await, [TABLE]);
    let schema = page.schema(TABLE).await.unwrap();
    let names: Vec<&str> = schema.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["timestamp", "path", "ms", "_writer", "_line", "_pos"]);
    let types: Vec<i32> = schema.iter().map(|(_, ty)| *ty).collect();
    assert_eq!(types, [2, 0, 4, 0, 4, 4]);

    page.make(TABLE, "v", columns(&["path", "ms", "_pos"])).await.unwrap();
    let size = page.size("v").await;
    assert_eq!((size.table_rows, size.view_rows, size.view_columns), (2, 2, 3));
    let shown = page.columns("v", 0, 10).await;
    assert_eq!(shown, json!({"path": ["/", "/a"], "ms": [7.0, 8.0], "_pos": [0.0, 1.0]}));

    let news = page.follow("v", false).await;
    assert!(!page.hears(news, Duration::from_millis(300)).await);
    server.log(TABLE, &[r#"{"path":"/b","ms":9}"#]).await;
    page.answer(news).await;
    assert_eq!(page.size("v").await.view_rows, 3);
    let shown = page.columns("v", 2, 3).await;
    assert_eq!(shown, json!({"path": ["/b"], "ms": [9.0], "_pos": [2.0]}));
    // Where nothing comes, nothing is told.
    assert!(!page.hears(news, Duration::from_millis(300)).await);
}
