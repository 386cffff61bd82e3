//! Monitors, saved, tested and silenced.

use serde_json::{Value, json};

use crate::support::{Home, until};

fn monitor(above: u32) -> String {
    json!({
        "format": 1, "title": "Slow", "table": "me/shop/requests", "window": {"rows": 10}, "every": "1s",
        "condition": {"kind": "threshold", "value": "max(ms)", "above": above},
    })
    .to_string()
}

#[test]
fn monitors_are_saved_tested_and_silenced() {
    let mut home = Home::new();
    let server = home.serve(&[]);
    assert_eq!(home.run(&["monitor", "ls", "me/shop"]).ok(), "no monitors in me/shop\n");
    home.pipe(&["log", "me/shop/requests"], "{\"ms\": 7}\n{\"ms\": 9}\n").ok();
    home.write("slow.json", &monitor(8));
    let tried = home.run(&["monitor", "test", "me/shop/slow", "slow.json"]).ok();
    let tried: Value = serde_json::from_str(&tried).unwrap();
    assert_eq!(
        (&tried["groups"][0]["state"], &tried["groups"][0]["value"]),
        (&json!("firing"), &json!(9.0))
    );
    let saved = home.run(&["monitor", "put", "me/shop/slow", "slow.json", "--new"]).ok();
    assert_eq!(saved, "saved me/shop/slow, version 1\n");
    assert_eq!(home.run(&["monitor", "put", "me/shop/slow", "slow.json", "--new"]).code, Some(1));
    home.pipe(&["monitor", "put", "me/shop/slow", "--seen", "1"], &monitor(10)).ok();
    assert_eq!(home.run(&["monitor", "get", "me/shop/slow"]).ok(), monitor(10));
    let silenced = home.run(&["monitor", "silence", "me/shop/slow", "--for", "2h"]).ok();
    assert!(silenced.starts_with("me/shop/slow is silenced until 20"), "{silenced}");
    home.write("bad.json", &monitor(8).replace("max(ms)", ""));
    let bad = home.run(&["monitor", "put", "me/shop/bad", "bad.json"]);
    assert!(bad.err.contains("`condition.value` is empty"), "{}", bad.err);

    // The server does not send messages to its own network, unless its operator allows it.
    home.write("target.json", r#"{"kind": "slack", "url": "http://127.0.0.1:1/s3cret"}"#);
    home.run(&["monitor", "target", "put", "me/shop/default", "target.json"]).ok();
    let refused = home.run(&["monitor", "target", "test", "me/shop/default"]);
    assert!(refused.err.contains("no public address"), "{}", refused.err);
    server.stop();
    let _server = home.serve(&["--allow-private-targets"]);
    let failed = home.run(&["monitor", "test", "me/shop/slow", "--send"]);
    assert_eq!(failed.code, Some(1));
    assert!(
        !failed.err.contains("no public address") && !failed.err.contains("s3cret"),
        "{}",
        failed.err
    );
    let targets = home.run(&["monitor", "target", "ls", "me/shop"]).ok();
    assert!(targets.contains("http://127.0.0.1:1/…") && !targets.contains("s3cret"), "{targets}");
    home.run(&["monitor", "target", "rm", "me/shop/default"]).ok();

    let listed = home.run(&["monitor", "ls", "me/shop", "--json"]).ok();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["silenced"]), (&json!("slow"), &json!(true)));
    home.run(&["monitor", "silence", "me/shop/slow", "--end"]).ok();
    home.run(&["monitor", "rm", "me/shop/slow"]).ok();
    assert_eq!(home.run(&["monitor", "get", "me/shop/slow"]).code, Some(1));
}

/// A server that is killed after each transition records each of them once.
#[test]
fn transitions_are_recorded_once_by_servers_that_are_killed() {
    let mut home = Home::new();
    let mut server = home.serve(&[]);
    home.write("slow.json", &monitor(100).replace(r#""rows":10"#, r#""rows":1"#));
    home.pipe(&["log", "me/shop/requests"], "{\"ms\": 1}\n").ok();
    home.run(&["monitor", "put", "me/shop/slow", "slow.json"]).ok();
    let mut expected = String::from("f,t\n");
    for round in 0..6 {
        let (ms, state, transition) = match round % 2 {
            0 => (200, "firing", "ok,firing\n"),
            _ => (1, "ok", "firing,ok\n"),
        };
        home.pipe(&["log", "me/shop/requests"], &format!("{{\"ms\": {ms}}}\n")).ok();
        until(&format!("the monitor is {state}"), || {
            let listed = home.run(&["monitor", "ls", "me/shop", "--json"]).ok();
            let listed: Value = serde_json::from_str(&listed).unwrap();
            listed[0]["state"] == state
        });
        expected.push_str(transition);
        // By SIGKILL.
        drop(server);
        server = home.serve(&[]);
    }
    let sql = "select \"from\" as f, \"to\" as t from me.shop.\"_monitors\" order by _line";
    let query = ["query", sql, "--format", "csv"];
    until("all transitions are recorded", || {
        let found = home.run(&query);
        found.code == Some(0) && found.out.lines().count() >= expected.lines().count()
    });
    assert_eq!(home.run(&query).ok(), expected);
}
