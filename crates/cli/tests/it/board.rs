//! Boards, exported and imported.

use serde_json::{Value, json};

use crate::support::Home;

fn board(title: &str) -> String {
    json!({
        "format": 1, "title": title, "of the future": [1.0, "é"],
        "panels": [{"id": "a", "kind": "grid", "table": "me/shop/requests",
            "config": {"plugin": "Datagrid"}, "layout": {"x": 0, "y": 0, "w": 12, "h": 9}}],
    })
    .to_string()
}

#[test]
fn boards_are_saved_versioned_and_restored() {
    let mut home = Home::new();
    let server = home.serve(&[]);
    assert_eq!(home.run(&["board", "ls", "me/shop"]).ok(), "no boards in me/shop\n");
    home.write("one.json", &board("One"));
    let saved = home.run(&["board", "put", "me/shop/latency", "one.json", "--new"]).ok();
    assert_eq!(saved, "saved me/shop/latency, version 1\n");
    let taken = home.run(&["board", "put", "me/shop/latency", "one.json", "--new"]);
    assert_eq!(taken.code, Some(1));
    assert!(taken.err.contains("version 1 is newer"), "{}", taken.err);
    home.pipe(&["board", "put", "me/shop/latency", "--seen", "1"], &board("Two")).ok();
    assert_eq!(
        home.run(&["board", "put", "me/shop/latency", "one.json", "--seen", "1"]).code,
        Some(1)
    );

    // The document is returned byte for byte, also after a restart and under another name.
    server.stop();
    let _server = home.serve(&[]);
    assert_eq!(home.run(&["board", "get", "me/shop/latency"]).ok(), board("Two"));
    let first = ["board", "get", "me/shop/latency", "--board-version", "1", "-o", "old.json"];
    home.run(&first).ok();
    assert_eq!(home.read("old.json"), board("One"));
    home.run(&["board", "put", "you/other/copy", "old.json"]).ok();
    let listed = home.run(&["board", "ls", "you/other", "--json"]).ok();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["title"]), (&json!("copy"), &json!("One")));
    assert!(home.run(&["board", "ls", "me/shop"]).ok().contains("latency"));

    home.run(&["board", "rm", "me/shop/latency"]).ok();
    assert_eq!(home.run(&["board", "get", "me/shop/latency"]).code, Some(1));
    home.write("bad.json", r#"{"format":1,"title":"x"}"#);
    let bad = home.run(&["board", "put", "me/shop/bad", "bad.json"]);
    assert!(bad.err.contains("panels"), "{}", bad.err);
    assert_eq!(home.run(&["board", "ls", "me"]).code, Some(2));
}
