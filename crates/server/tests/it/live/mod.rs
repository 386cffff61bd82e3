//! Pages with live tables, over real sockets.

#[path = "../../../../live/src/proto.rs"]
#[expect(dead_code, reason = "the tests use only a part of the protocol")]
mod proto;

mod attacks;
mod endings;
mod page;
mod shapes;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Running, basic, send};
use page::Page;
use proto::{
    Aggregate, ClientMessage, Columns, Config, DepthReq, Empty, Filter, Names, RollupMode, RowReq,
    Scalar, ScalarValue, ServerMessage, Sort, SortOp, ViewPort, WhichColumns,
};

const TABLE: &str = "me/shop/requests";

impl Running {
    /// Appends rows, one JSON object per line.
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

fn number(x: f64) -> ScalarValue {
    ScalarValue::Float(x)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&it| it.to_owned()).collect()
}

fn aggregates(of: &[(&str, &[&str])]) -> BTreeMap<String, Aggregate> {
    let aggregate = |parts: &[&str]| Aggregate { parts: names(parts) };
    of.iter().map(|(column, parts)| ((*column).to_owned(), aggregate(parts))).collect()
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
    // Without new rows there is no notification.
    assert!(!page.hears(news, Duration::from_millis(300)).await);
}

/// A page that makes a view after the columns have changed is notified for its earlier views.
#[tokio::test]
async fn a_later_view_does_not_hide_new_columns_from_earlier_ones() {
    let server = Running::start().await;
    server.log(TABLE, &[r#"{"a":1}"#]).await;
    let mut page = Page::open(&server).await;
    page.make(TABLE, "first", columns(&["a"])).await.unwrap();
    server.log(TABLE, &[r#"{"a":2,"b":3}"#]).await;
    page.make(TABLE, "second", columns(&["b"])).await.unwrap();
    assert_eq!(page.note().await, json!({ "schema": TABLE }));
}

/// Logs ten rows: `n` counts up, `k` is one of three texts, `x` falls and is null once.
async fn ten_rows(server: &Running) {
    let lines: Vec<String> = (0..10)
        .map(|n| {
            let (k, x) = (["a", "b", "c"][n % 3], 10.0 - n as f64 / 2.0);
            let x = if n == 4 { Value::Null } else { json!(x) };
            json!({ "n": n, "k": k, "x": x, "ok": n % 2 == 0 }).to_string()
        })
        .collect();
    server.log(TABLE, &lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn rows_are_filtered_and_sorted() {
    let server = Running::start().await;
    ten_rows(&server).await;
    let mut page = Page::open(&server).await;
    let mut check = async |config: Config, expected: &[i64]| {
        let shown = page.show(TABLE, config.clone()).await.unwrap();
        let expected: Vec<f64> = expected.iter().map(|&n| n as f64).collect();
        assert_eq!(shown["n"], json!(expected), "{config:?}");
    };
    let config = || columns(&["n"]);
    let one = |column: &str, op: &str, value: &[ScalarValue]| Config {
        filter: vec![filter(column, op, value)],
        ..config()
    };
    check(one("n", ">", &[number(6.5)]), &[7, 8, 9]).await;
    check(one("n", "<=", &[number(1.0)]), &[0, 1]).await;
    check(one("n", "==", &[text("3")]), &[3]).await;
    check(one("n", "!=", &[number(3.0)]), &[0, 1, 2, 4, 5, 6, 7, 8, 9]).await;
    check(one("n", "in", &[number(2.0), number(9.0), number(77.0)]), &[2, 9]).await;
    check(one("k", "in", &[text("a"), text("c")]), &[0, 2, 3, 5, 6, 8, 9]).await;
    check(one("k", "not in", &[text("a"), text("c")]), &[1, 4, 7]).await;
    check(one("k", "begins with", &[text("B")]), &[1, 4, 7]).await;
    check(one("k", "contains", &[text("_")]), &[]).await;
    check(one("k", "not contains", &[text("a")]), &[1, 2, 4, 5, 7, 8]).await;
    check(one("x", "is null", &[]), &[4]).await;
    check(one("x", "!=", &[number(10.0)]), &[1, 2, 3, 4, 5, 6, 7, 8, 9]).await;
    check(one("ok", "==", &[ScalarValue::Bool(false)]), &[1, 3, 5, 7, 9]).await;
    check(one("timestamp", ">", &[text("2020-01-01")]), &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).await;
    check(one("timestamp", "<", &[number(1.6e12)]), &[]).await;
    // A filter without a value accepts all rows.
    check(one("n", ">", &[ScalarValue::Null(0)]), &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).await;
    let filters = vec![filter("n", "<", &[number(1.0)]), filter("n", ">", &[number(8.0)])];
    check(Config { filter: filters.clone(), ..config() }, &[]).await;
    check(Config { filter: filters, filter_op: 1, ..config() }, &[0, 9]).await;

    check(Config { sort: sort("n", SortOp::Desc), ..config() }, &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
        .await;
    let by_x = || sort("x", SortOp::Asc);
    check(Config { sort: by_x(), ..config() }, &[4, 9, 8, 7, 6, 5, 3, 2, 1, 0]).await;
    check(
        Config { sort: [sort("k", SortOp::Desc), by_x()].concat(), ..config() },
        &[8, 5, 2, 4, 7, 1, 9, 6, 3, 0],
    )
    .await;
    let abs = BTreeMap::from([("d".to_owned(), "\"n\" - 5".to_owned())]);
    check(
        Config { sort: sort("d", SortOp::DescAbs), expressions: abs, ..config() },
        &[0, 1, 9, 2, 8, 3, 7, 4, 6, 5],
    )
    .await;
    let both = Config {
        sort: sort("n", SortOp::Desc),
        filter: vec![filter("k", "==", &[text("b")])],
        ..config()
    };
    check(both.clone(), &[7, 4, 1]).await;

    // A part of the rows, and parts beyond their end.
    page.make(TABLE, "v", both).await.unwrap();
    assert_eq!(page.size("v").await.view_rows, 3);
    assert_eq!(page.columns("v", 1, 2).await, json!({ "n": [4.0] }));
    assert_eq!(page.columns("v", 2, 9).await, json!({ "n": [1.0] }));
    assert_eq!(page.columns("v", 7, 9).await, json!({ "n": [] }));
    assert_eq!(page.min_max("v", "n").await, (number(1.0), number(7.0)));
}

#[tokio::test]
async fn rows_are_grouped_and_split() {
    let server = Running::start().await;
    ten_rows(&server).await;
    let mut page = Page::open(&server).await;
    let grouped = Config {
        group_by: names(&["k", "ok"]),
        aggregates: aggregates(&[("n", &["sum"]), ("x", &["count"])]),
        ..columns(&["n", "x"])
    };
    let shown = page.show(TABLE, grouped.clone()).await.unwrap();
    assert_eq!(
        shown["__ROW_PATH__"],
        json!([
            [],
            ["a"],
            ["a", false],
            ["a", true],
            ["b"],
            ["b", false],
            ["b", true],
            ["c"],
            ["c", false],
            ["c", true]
        ])
    );
    assert_eq!(shown["n"], json!([45.0, 18.0, 12.0, 6.0, 12.0, 8.0, 4.0, 15.0, 5.0, 10.0]));
    assert_eq!(shown["x"], json!([9.0, 4.0, 2.0, 2.0, 2.0, 2.0, 0.0, 3.0, 1.0, 2.0]));

    // Groups are sorted among their siblings.
    let sorted = Config { sort: sort("n", SortOp::Desc), ..grouped.clone() };
    let shown = page.show(TABLE, sorted).await.unwrap();
    assert_eq!(shown["n"], json!([45.0, 18.0, 12.0, 6.0, 15.0, 10.0, 5.0, 12.0, 8.0, 4.0]));

    let flat = Config { rollup: Some(RollupMode::Flat as i32), ..grouped.clone() };
    let shown = page.show(TABLE, flat).await.unwrap();
    assert_eq!(shown["n"], json!([12.0, 6.0, 8.0, 4.0, 5.0, 10.0]));

    let total = |how: &[&str]| Config {
        rollup: Some(RollupMode::Total as i32),
        aggregates: aggregates(&[("n", how)]),
        ..columns(&["n"])
    };
    for (how, expected) in [
        (vec!["avg"], json!(4.5)),
        (vec!["min"], json!(0.0)),
        (vec!["max"], json!(9.0)),
        (vec!["count"], json!(10.0)),
        (vec!["distinct count"], json!(10.0)),
        (vec!["first"], json!(0.0)),
        (vec!["last"], json!(9.0)),
        (vec!["unique"], Value::Null),
        (vec!["weighted mean", "n"], json!(285.0 / 45.0)),
    ] {
        let shown = page.show(TABLE, total(&how)).await.unwrap();
        assert_eq!(shown["n"], json!([expected]), "{how:?}");
    }
    assert!(page.show(TABLE, total(&["no such"])).await.unwrap_err().contains("no such"));

    // Groups are expanded and collapsed.
    let closed = Config { group_by_depth: Some(0), ..grouped.clone() };
    page.make(TABLE, "g", closed).await.unwrap();
    assert_eq!(page.size("g").await.view_rows, 4);
    let ServerMessage::Expand(it) = page.ask("g", ClientMessage::Expand(RowReq { row: 2 })).await
    else {
        panic!()
    };
    assert_eq!(it.number, 2);
    let shown = page.columns("g", 0, 20).await;
    assert_eq!(shown["n"], json!([45.0, 18.0, 12.0, 8.0, 4.0, 15.0]));
    let ServerMessage::Collapse(it) =
        page.ask("g", ClientMessage::Collapse(RowReq { row: 0 })).await
    else {
        panic!()
    };
    assert_eq!((it.number, page.size("g").await.view_rows), (5, 1));
    page.ask("g", ClientMessage::SetDepth(DepthReq { depth: 1 })).await;
    assert_eq!(page.size("g").await.view_rows, 10);
    assert_eq!(page.min_max("g", "n").await, (number(4.0), number(12.0)));

    let split = Config {
        group_by: names(&["k"]),
        split_by: names(&["ok"]),
        aggregates: aggregates(&[("n", &["sum"])]),
        ..columns(&["n"])
    };
    let shown = page.show(TABLE, split.clone()).await.unwrap();
    assert_eq!(shown["false|n"], json!([25.0, 12.0, 8.0, 5.0]));
    assert_eq!(shown["true|n"], json!([20.0, 6.0, 4.0, 10.0]));
    let only_split = Config { split_by: names(&["ok"]), ..columns(&["n"]) };
    page.make(TABLE, "s", only_split).await.unwrap();
    assert_eq!(page.size("s").await.view_columns, 2);
    let shown = page.columns("s", 0, 3).await;
    assert_eq!(shown, json!({"false|n": [null, 1.0, null], "true|n": [0.0, null, 2.0]}));
}

#[tokio::test]
async fn expressions_are_columns() {
    let server = Running::start().await;
    ten_rows(&server).await;
    let mut page = Page::open(&server).await;
    let expressions = |of: &[(&str, &str)]| -> BTreeMap<String, String> {
        of.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    };
    let twice = expressions(&[("twice", "\"n\" * 2 -- it"), ("up", "upper(\"k\")")]);
    let config = Config {
        expressions: twice.clone(),
        filter: vec![filter("twice", ">", &[number(15.0)])],
        ..columns(&["twice", "up"])
    };
    let shown = page.show(TABLE, config.clone()).await.unwrap();
    assert_eq!(shown, json!({"twice": [16.0, 18.0], "up": ["C", "A"]}));
    let (types, errors, error) = page.describe(TABLE, config).await;
    assert_eq!((types["twice"], types["up"], errors.len(), error), (4, 0, 0, None));
    let wrong = Config {
        expressions: expressions(&[("a", "\"n\" + 1"), ("b", "\"none\""), ("c", "(select 1)")]),
        ..Config::default()
    };
    let (types, errors, _) = page.describe(TABLE, wrong).await;
    assert_eq!(types.keys().collect::<Vec<_>>(), ["a"]);
    assert!(errors["b"].contains("none") && errors["c"].contains("query"), "{errors:?}");
    let (.., error) = page.describe(TABLE, columns(&["gone"])).await;
    assert!(error.unwrap().contains("gone"));
}

#[tokio::test]
async fn every_view_follows_its_table() {
    let server = Running::start().await;
    ten_rows(&server).await;
    let mut page = Page::open(&server).await;
    let views = [
        ("all", columns(&["n"])),
        ("some", Config { filter: vec![filter("k", "==", &[text("b")])], ..columns(&["n"]) }),
        ("sorted", Config { sort: sort("n", SortOp::Desc), ..columns(&["n"]) }),
        ("groups", Config { group_by: names(&["k"]), ..columns(&["n"]) }),
    ];
    let mut numbers = Vec::new();
    for (view, config) in &views {
        page.make(TABLE, view, config.clone()).await.unwrap();
        numbers.push(page.follow(view, *view == "all").await);
    }
    server.log(TABLE, &[r#"{"n":100,"k":"b","x":1,"ok":true}"#]).await;
    for number in &numbers {
        let ServerMessage::OnUpdate(update) = page.answer(*number).await else { panic!() };
        // Only the subscriber that asked for rows receives them.
        assert_eq!(update.delta.is_some(), *number == numbers[0]);
    }
    assert_eq!(page.columns("all", 10, 20).await["n"], json!([100.0]));
    assert_eq!(page.columns("some", 0, 20).await["n"], json!([1.0, 4.0, 7.0, 100.0]));
    assert_eq!(page.columns("sorted", 0, 2).await["n"], json!([100.0, 9.0]));
    assert_eq!(page.columns("groups", 0, 20).await["n"], json!([145.0, 18.0, 112.0, 15.0]));

    // The page is hidden.
    page.send_text(r#"{"visible":false}"#).await;
    page.send_text(r#"{"of the future":1}"#).await;
    page.tables().await;
    server.log(TABLE, &[r#"{"n":200,"k":"b","x":1,"ok":true}"#]).await;
    assert!(!page.hears(numbers[0], Duration::from_millis(400)).await);
    page.send_text(r#"{"visible":true}"#).await;
    page.answer(numbers[0]).await;
    assert_eq!(page.size("all").await.view_rows, 12);

    // Many rows in quick succession cause few notifications.
    for n in 0..30 {
        server.log(TABLE, &[&format!(r#"{{"n":{n},"k":"z","x":1,"ok":true}}"#)]).await;
    }
    while page.size("all").await.view_rows < 42 {
        page.answer(numbers[0]).await;
    }
    // The table gets a new column: the page is notified.
    server.log(TABLE, &[r#"{"n":1,"k":"z","x":1,"ok":true,"new":"x"}"#]).await;
    assert_eq!(page.note().await, json!({ "schema": TABLE }));
    let schema = page.schema(TABLE).await.unwrap();
    assert!(schema.iter().any(|(name, _)| name == "new"), "{schema:?}");
}

#[tokio::test]
async fn a_page_continues_after_a_restart() {
    let mut server = Running::start().await;
    ten_rows(&server).await;
    let mut page = Page::open(&server).await;
    page.make(TABLE, "v", columns(&["n"])).await.unwrap();
    page.follow("v", false).await;
    server.stop().await;
    page.closed().await;
    server.restart().await;
    let mut page = Page::open(&server).await;
    page.make(TABLE, "v", columns(&["n"])).await.unwrap();
    let news = page.follow("v", false).await;
    assert_eq!(page.size("v").await.view_rows, 10);
    server.log(TABLE, &[r#"{"n":10,"k":"a","x":1,"ok":true}"#]).await;
    page.answer(news).await;
    let all: Vec<f64> = (0..11).map(f64::from).collect();
    assert_eq!(page.columns("v", 0, 100).await["n"], json!(all));
}

#[tokio::test]
async fn pages_with_the_same_view_share_it() {
    let server = Running::start().await;
    ten_rows(&server).await;
    let config = Config { group_by: names(&["k"]), ..columns(&["n"]) };
    let (mut one, mut other) = (Page::open(&server).await, Page::open(&server).await);
    for page in [&mut one, &mut other] {
        page.make(TABLE, "v", config.clone()).await.unwrap();
    }
    // A group that one page collapses stays expanded for the other.
    one.ask("v", ClientMessage::Collapse(RowReq { row: 0 })).await;
    assert_eq!((one.size("v").await.view_rows, other.size("v").await.view_rows), (1, 4));
    one.delete("v").await;
    let ServerMessage::Error(error) = one.ask("v", ClientMessage::Dimensions(Empty {})).await
    else {
        panic!()
    };
    assert_eq!(error.code, 1);
    let viewport = ViewPort::default();
    assert_eq!(other.arrow("v", viewport).await.num_rows(), 4);
}
