//! Hostile pages and rows.

use std::collections::BTreeMap;

use serde_json::json;
use streamtable_server::Right;
use tokio_tungstenite::tungstenite::Error;

use super::proto::{ClientMessage, Config, Empty, MakeViewReq, ServerMessage, SortOp, ViewPort};
use super::{TABLE, columns, filter, names, sort, text};
use crate::live::page::Page;
use crate::support::{Running, basic};

#[tokio::test]
async fn pages_without_read_access_see_nothing() {
    let server = Running::start().await;
    server.log(TABLE, &[r#"{"secret":"s3cret"}"#]).await;
    server.log("you/shop/mine", &[r#"{"a":1}"#]).await;
    let key = server.catalog().add_key("you", Some("you"), Right::Read).await.unwrap().secret;
    let mut page = Page::open_as(&server, &[("authorization", &basic(&key))]).await.unwrap();
    assert_eq!(page.tables().await, ["you/shop/mine"]);
    // A table that does not exist gives the same error.
    let hidden = page.schema(TABLE).await.unwrap_err();
    let missing = page.schema("me/shop/none").await.unwrap_err();
    assert_eq!(hidden.replace("requests", "none"), missing);
    assert!(page.make(TABLE, "v", Config::default()).await.is_err());
    // Expressions do not give access either.
    for sneaky in [
        "(select \"secret\" from me.shop.requests)",
        "exists (select 1 from me.shop.requests)",
        "\"a\" in (select \"secret\" from \"me/shop/requests\")",
        "1) from me.shop.requests --",
        "1 from me.shop.requests",
    ] {
        let expressions = BTreeMap::from([("e".to_owned(), sneaky.to_owned())]);
        let config = Config { expressions, ..columns(&["e"]) };
        let error = page.show("you/shop/mine", config).await.unwrap_err();
        assert!(!error.contains("s3cret"), "{error}");
    }

    let status =
        async |headers: &[(&'static str, &str)]| match Page::open_as(&server, headers).await {
            Err(Error::Http(answer)) => answer.status().as_u16(),
            Ok(_) => 101,
            Err(error) => panic!("{error}"),
        };
    assert_eq!(status(&[]).await, 401);
    assert_eq!(status(&[("authorization", &basic("wrong"))]).await, 401);
    let own = basic(&server.key);
    let foreign = ("origin", "http://evil.example");
    assert_eq!(status(&[("authorization", &own), foreign]).await, 403);
    assert_eq!(status(&[("authorization", &own)]).await, 101);
}

#[tokio::test]
async fn hostile_names_are_treated_as_names() {
    let server = Running::start().await;
    let long = "x".repeat(10_000);
    let hostile = [
        r#"a"b"#,
        r#"""""#,
        "'; drop table t; --",
        "<script>alert(1)</script>",
        "\u{202e}evil\u{202c}",
        "a|b",
        "a.b",
        "__ROW_PATH_0__",
        "pos",
        "g0",
        "*",
        " ",
        "$1",
        "\\",
        "/* x",
        long.as_str(),
    ];
    let row: serde_json::Map<_, _> =
        hostile.iter().enumerate().map(|(i, name)| ((*name).to_owned(), json!(i))).collect();
    let row = serde_json::Value::Object(row).to_string();
    server.log(TABLE, &[&row, &row]).await;
    let mut page = Page::open(&server).await;
    let schema = page.schema(TABLE).await.unwrap();
    for (i, name) in hostile.iter().enumerate() {
        assert!(schema.iter().any(|(it, _)| it == name), "{name:.40}");
        let n = i as f64;
        let config = Config {
            filter: vec![filter(name, "==", &[super::number(n)])],
            sort: sort(name, SortOp::Desc),
            ..columns(&[name])
        };
        let shown = page.show(TABLE, config).await.unwrap_or_else(|e| panic!("{name:.40}: {e}"));
        assert_eq!(shown[*name], json!([n, n]), "{name:.40}");
        let grouped = Config { group_by: names(&[name]), ..columns(&[name]) };
        let shown = page.show(TABLE, grouped).await.unwrap_or_else(|e| panic!("{name:.40}: {e}"));
        assert_eq!(shown[*name], json!([2.0 * n, 2.0 * n]), "{name:.40}");
        // Values are treated the same way.
        let config =
            Config { filter: vec![filter("_writer", "==", &[text(name)])], ..columns(&[name]) };
        assert_eq!(page.show(TABLE, config).await.unwrap()[*name], json!([]), "{name:.40}");
    }
}

#[tokio::test]
async fn invalid_requests_fail_alone() {
    let server = Running::start().await;
    server.log(TABLE, &[r#"{"a":1}"#]).await;
    let mut page = Page::open(&server).await;
    page.send_bytes(b"\xff\xff no message").await;
    page.send_bytes(b"").await;
    for (id, ask) in [
        ("none", ClientMessage::Dimensions(Empty {})),
        ("none", ClientMessage::ViewSchema(Empty {})),
        (TABLE, ClientMessage::ToArrow(Default::default())),
        ("..", ClientMessage::TableSchema(Empty {})),
        ("me/shop", ClientMessage::TableSize(Empty {})),
    ] {
        let ServerMessage::Error(_) = page.ask(id, ask.clone()).await else { panic!("{ask:?}") };
    }
    for config in [
        columns(&["none"]),
        columns(&["a", "a"]),
        Config { group_by: names(&["none"]), ..columns(&["a"]) },
        Config { split_by: names(&["none"]), ..columns(&["a"]) },
        Config { sort: sort("none", SortOp::Asc), ..columns(&["a"]) },
        Config { filter: vec![filter("a", "no op", &[text("x")])], ..columns(&["a"]) },
    ] {
        assert!(page.make(TABLE, "v", config.clone()).await.is_err(), "{config:?}");
    }
    page.make(TABLE, "v", columns(&["a"])).await.unwrap();
    assert!(page.make(TABLE, "v", columns(&["a"])).await.is_err());
    let upside_down = ViewPort { start_row: Some(9), end_row: Some(2), ..ViewPort::default() };
    assert_eq!(page.arrow("v", upside_down).await.num_rows(), 0);

    // The number of views is limited.
    let mut made = 1;
    let error = loop {
        match page.make(TABLE, &format!("v{made}"), columns(&["a"])).await {
            Ok(()) => made += 1,
            Err(error) => break error,
        }
        assert!(made < 1_000, "the number of views is not limited");
    };
    assert!(error.contains("128"), "{error}");
    // Many concurrent requests are all answered.
    let mut numbers = Vec::new();
    for i in 0..400 {
        let request = MakeViewReq { view: format!("w{i}"), config: None };
        numbers.push(page.send(TABLE, ClientMessage::MakeView(request)).await);
    }
    for number in numbers {
        let ServerMessage::Error(_) = page.answer(number).await else { panic!() };
    }
    assert_eq!(page.size("v").await.view_rows, 1);
}

#[tokio::test]
async fn subscriptions_to_a_view_are_limited() {
    let server = Running::start().await;
    server.log(TABLE, &[r#"{"n":1}"#]).await;
    let mut page = Page::open(&server).await;
    page.make(TABLE, "v", columns(&["n"])).await.unwrap();
    let mut last = 0;
    for _ in 0..=16 {
        last = page.follow("v", false).await;
    }
    let ServerMessage::Error(error) = page.answer(last).await else { panic!("it is not refused") };
    assert_eq!(error.message, "a view has at most 16 subscriptions");
    // The others work.
    server.log(TABLE, &[r#"{"n":2}"#]).await;
    page.answer(last - 1).await;
}

#[tokio::test]
async fn views_that_keep_too_much_are_refused() {
    let server = Running::start_with(|config| config.memory_limit = Some(1 << 30)).await;
    let lines: Vec<String> =
        (0..10_000).map(|n| format!(r#"{{"n":{n},"t":"{n:0>600}"}}"#)).collect();
    server.log(TABLE, &lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut page = Page::open(&server).await;
    let grouped = |name: &str| Config {
        group_by: vec!["t".to_owned()],
        expressions: BTreeMap::from([(name.to_owned(), "1".to_owned())]),
        ..columns(&["n"])
    };
    let mut refused = None;
    for i in 0..40 {
        if let Err(error) = page.make(TABLE, &i.to_string(), grouped(&format!("e{i}"))).await {
            refused = Some((i, error));
            break;
        }
    }
    let (i, error) = refused.expect("views are not limited");
    assert!(i > 1 && error.contains("keep more than 64 MiB in memory"), "{i}: {error}");
    // Closed views do not count, and other keys have their own limit.
    let made = server.catalog().add_key("guest", Some("me"), Right::Read).await.unwrap();
    let headers = [("authorization", &*basic(&made.secret))];
    let mut other = Page::open_as(&server, &headers).await.unwrap();
    other.make(TABLE, "v", grouped("other")).await.unwrap();
    page.delete("0").await;
    page.make(TABLE, "again", grouped("again")).await.unwrap();
}
