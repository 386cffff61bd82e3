//! Boards, and exports of views.

use serde_json::{Value, json};
use streamtable_server::Right;

use crate::support::{Answer, Running, basic, send};

const BOARD: &str = "/api/boards/me/shop/latency";
const TABLE: &str = "/api/tables/me/shop/requests";

fn board(title: &str) -> Value {
    json!({
        "format": 1, "title": title,
        "panels": [{"id": "a", "kind": "grid", "table": "me/shop/requests",
            "config": {"plugin": "Datagrid"}, "layout": {"x": 0, "y": 0, "w": 12, "h": 9}}],
    })
}

impl Running {
    async fn call(
        &self,
        key: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let auth = basic(key);
        let own = [("authorization", auth.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let url = format!("{}{path}", self.url);
        send(method, &url, &[&own, headers].concat(), body).await
    }

    async fn own(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        self.call(&self.key, method, path, headers, body).await
    }
}

#[tokio::test]
async fn conflicting_board_saves_are_rejected() {
    let mut server = Running::start().await;
    let new = [("if-none-match", "*")];
    let made = server.own("PUT", BOARD, &new, &board("One")).await;
    assert_eq!((made.status, made.header("etag")), (201, "\"1\""));
    assert_eq!(server.own("PUT", BOARD, &new, &board("Other")).await.status, 412);

    // Two authors have read version 1; one of them saves first.
    let seen = [("if-match", "\"1\"")];
    assert_eq!(server.own("PUT", BOARD, &seen, &board("Two")).await.status, 200);
    let late = server.own("PUT", BOARD, &seen, &board("Lost?")).await;
    assert_eq!((late.status, &late.json()["version"]), (412, &json!(2)));
    assert_eq!(late.json()["author"], "first");
    assert!(late.json()["updated"].as_str().unwrap().ends_with('Z'));
    // A save without a precondition wins.
    assert_eq!(server.own("PUT", BOARD, &[], &board("Three")).await.header("etag"), "\"3\"");

    server.restart().await;
    let newest = server.get(BOARD).await;
    assert_eq!((newest.json(), newest.header("etag")), (board("Three"), "\"3\""));
    assert_eq!(server.get(&format!("{BOARD}?version=1")).await.json(), board("One"));
    assert_eq!(server.get(&format!("{BOARD}?version=7")).await.status, 404);
    let same = server.own("GET", BOARD, &[("if-none-match", "\"3\"")], &Value::Null).await;
    assert_eq!(same.status, 304);
    let versions = server.get(&format!("{BOARD}/versions")).await.json();
    let versions: Vec<_> = versions.as_array().unwrap().iter().map(|it| &it["version"]).collect();
    assert_eq!(versions, [3, 2, 1]);

    // Renaming keeps the history. A new board under the old name continues its version numbers.
    let rename = format!("{BOARD}/rename");
    let renamed = server.own("POST", &rename, &[], &json!({"to": "speed"})).await;
    assert_eq!((renamed.status, &renamed.json()["name"]), (200, &json!("speed")));
    assert_eq!(server.get(BOARD).await.status, 404);
    assert_eq!(server.get("/api/boards/me/shop/speed?version=1").await.json(), board("One"));
    let again = server.own("PUT", BOARD, &[], &board("Four")).await;
    assert_eq!((again.status, again.header("etag")), (201, "\"4\""));
    let taken = server.own("POST", &rename, &[], &json!({"to": "speed"})).await;
    assert_eq!(taken.status, 409);
    let list = server.get("/api/boards/me/shop").await.json();
    let names: Vec<_> = list.as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["latency", "speed"]);

    let stale = server.own("DELETE", BOARD, &[("if-match", "\"1\"")], &Value::Null).await;
    assert_eq!(stale.status, 412);
    assert_eq!(server.own("DELETE", BOARD, &[], &Value::Null).await.status, 204);
    assert_eq!(server.own("DELETE", BOARD, &[], &Value::Null).await.status, 404);
    // A version number is never used for two documents.
    let seen = [("if-match", "\"4\"")];
    assert_eq!(server.own("PUT", BOARD, &seen, &board("Late")).await.status, 412);
    assert_eq!(server.own("PUT", BOARD, &new, &board("New")).await.header("etag"), "\"5\"");
}

#[tokio::test]
async fn board_requests_check_rights_and_names() {
    let server = Running::start().await;
    server.own("PUT", BOARD, &[], &board("Mine")).await;
    let key = async |entity, right| {
        server.catalog().add_key("k", Some(entity), right).await.unwrap().secret
    };
    let (reader, other) = (key("me", Right::Read).await, key("you", Right::Admin).await);
    let status = async |key: &str, method: &str, path: &str| {
        server.call(key, method, path, &[], &board("x")).await.status
    };
    assert_eq!(status(&reader, "GET", BOARD).await, 200);
    assert_eq!(status(&reader, "PUT", BOARD).await, 403);
    assert_eq!(status(&reader, "DELETE", BOARD).await, 403);
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(status(&other, method, BOARD).await, 404);
    }
    assert_eq!(status(&other, "GET", "/api/boards/me/shop").await, 404);
    assert_eq!(status("wrong", "GET", BOARD).await, 401);
    for bad in ["/api/boards/me/shop/a%2Fb", "/api/boards/me/shop/%20"] {
        assert_eq!(server.own("PUT", bad, &[], &board("x")).await.status, 400, "{bad}");
    }
    let bad = server.own("PUT", BOARD, &[], &json!({"format": 1, "title": 7})).await;
    assert_eq!(bad.status, 400);
    assert!(bad.text().contains("invalid board"), "{}", bad.text());
    let large = json!({"format": 1, "title": "x", "panels": [], "more": "x".repeat(1 << 20)});
    assert_eq!(server.own("PUT", BOARD, &[], &large).await.status, 413);
}

#[tokio::test]
async fn boards_survive_an_odd_cell() {
    let server = Running::start().await;
    let rows = async |lines: &[Value]| {
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        let headers = [("authorization", &*basic(&server.key))];
        let url = format!("{}{TABLE}/rows", server.url);
        let answer = send("POST", &url, &headers, lines.join("\n")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    let row =
        |n: i32| json!({ "took_ms": n, "bytes": f64::from(n) / 2.0, "pred": n % 3, "y": n % 2 });
    rows(&(0..40).map(row).collect::<Vec<_>>()).await;
    let board = async || server.get(&format!("{TABLE}/board?template=monitoring")).await.json();
    let overview = async || server.get(&format!("{TABLE}/board?template=overview")).await.json();
    let before = [board().await, overview().await];
    let show = async |panel: &Value| {
        let body = json!({ "config": panel["config"], "format": "jsonl" });
        let rows = server.own("POST", &format!("{TABLE}/export"), &[], &body).await;
        assert_eq!(rows.status, 200, "{panel}: {}", rows.text());
        rows.text()
    };
    let stats = |document: &Value| -> Vec<Value> {
        let panels = document["panels"].as_array().unwrap().iter();
        let is_mean = |panel: &&Value| {
            let title = panel["title"].as_str().unwrap();
            title.starts_with("Mean") || title.ends_with("p95")
        };
        panels.filter(is_mean).cloned().collect()
    };
    let mut means = Vec::new();
    for panel in before.iter().flat_map(stats) {
        means.push(show(&panel).await);
    }
    assert!(!means.is_empty());
    rows(&[json!({ "took_ms": "timeout", "bytes": "?", "pred": "none", "y": 1 })]).await;
    let after = [board().await, overview().await];
    let mut means_after = Vec::new();
    for (before, after) in before.iter().zip(&after) {
        let titles = |document: &Value| -> Vec<Value> {
            let panels = document["panels"].as_array().unwrap().iter();
            panels.map(|panel| panel["title"].clone()).collect()
        };
        assert_eq!(titles(after), titles(before));
        for panel in before["panels"].as_array().unwrap() {
            show(panel).await;
        }
        for panel in after["panels"].as_array().unwrap() {
            show(panel).await;
        }
        for panel in stats(before) {
            means_after.push(show(&panel).await);
        }
    }
    assert_eq!(means_after, means);
}

/// Thirty predictions, every fifth of them wrong.
async fn predictions(server: &Running) {
    let lines: Vec<String> = (0..30)
        .map(|n| {
            let prediction = if n % 5 == 0 { (n + 1) % 10 } else { n % 10 };
            json!({
                "truth": n % 10, "prediction": prediction, "latency_ms": f64::from(n) / 4.0,
                "image": {"_type": "image-file", "path": "media/images/a.png", "format": "png"},
                "path": if n % 2 == 0 { "/" } else { "/\"a\"" },
            })
            .to_string()
        })
        .collect();
    let url = format!("{}{TABLE}/rows", server.url);
    let headers = [("authorization", &*basic(&server.key))];
    assert_eq!(send("POST", &url, &headers, lines.join("\n")).await.status, 200);
}

#[tokio::test]
async fn suggested_boards_fit_the_table() {
    let server = Running::start().await;
    predictions(&server).await;
    for (template, kinds) in [
        ("overview", vec!["stat", "chart", "images", "grid"]),
        ("monitoring", vec!["stat", "chart", "images", "grid"]),
    ] {
        let document = server.get(&format!("{TABLE}/board?template={template}")).await.json();
        for kind in kinds {
            let panels = document["panels"].as_array().unwrap();
            assert!(panels.iter().any(|panel| panel["kind"] == kind), "{template} {kind}");
        }
        // The board can be saved unchanged, and each of its views is valid.
        assert_eq!(
            server.own("PUT", BOARD, &[], &document).await.status,
            200 + u16::from(template == "overview")
        );
        for panel in document["panels"].as_array().unwrap() {
            let body = json!({"config": panel["config"], "format": "jsonl"});
            let rows = server.own("POST", &format!("{TABLE}/export"), &[], &body).await;
            assert_eq!(rows.status, 200, "{panel}: {}", rows.text());
            assert!(!rows.text().is_empty(), "{panel}");
            // Counts have a readable name instead of a column's name.
            assert_ne!(panel["config"]["columns"], json!(["_pos"]), "{panel}");
        }
    }
    let monitoring = server.get(&format!("{TABLE}/board?template=monitoring")).await.json();
    let panels = monitoring["panels"].as_array().unwrap();
    let find = |title: &str| panels.iter().find(|panel| panel["title"] == title).unwrap();
    let rows = async |title: &str| {
        let body = json!({"config": find(title)["config"], "format": "json"});
        server.own("POST", &format!("{TABLE}/export"), &[], &body).await.json()
    };
    assert_eq!(rows("Accuracy").await[0]["accuracy"], 0.8);
    assert_eq!(rows("Newest mistakes").await.as_array().unwrap().len(), 6);
    assert_eq!(server.get(&format!("{TABLE}/board?template=x")).await.status, 400);
    assert_eq!(server.get("/api/tables/me/shop/none/board").await.status, 404);
}

#[tokio::test]
async fn views_are_exported_in_every_format() {
    let server = Running::start().await;
    predictions(&server).await;
    let export = async |config: Value, format: &str| {
        let body = json!({"config": config, "format": format});
        server.own("POST", &format!("{TABLE}/export"), &[], &body).await
    };
    let view = json!({
        "plugin": "Datagrid", "columns": ["path", "truth"], "sort": [["latency_ms", "desc"]],
        "filter": [["truth", "<", 2]],
    });
    let csv = export(view.clone(), "csv").await;
    assert_eq!(
        csv.text().replace("\r\n", "\n"),
        "path,truth\n\"/\"\"a\"\"\",1\n/,0\n\"/\"\"a\"\"\",1\n/,0\n\"/\"\"a\"\"\",1\n/,0\n"
    );
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"requests.csv\"");
    let rows = export(view.clone(), "json").await.json();
    assert_eq!((rows.as_array().unwrap().len(), &rows[1]), (6, &json!({"path": "/", "truth": 0})));
    assert_eq!(&export(view.clone(), "parquet").await.body[..4], b"PAR1");
    let arrow = export(view, "arrow").await.body;
    let batches = arrow::ipc::reader::StreamReader::try_new(&arrow[..], None).unwrap();
    assert_eq!(batches.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 6);
    let grouped = json!({
        "columns": ["latency_ms"], "group_by": ["path"], "aggregates": {"latency_ms": "max"},
    });
    let text = export(grouped, "csv").await.text().replace("\r\n", "\n");
    assert_eq!(text, "path,latency_ms\n,7.25\n/,7.0\n\"/\"\"a\"\"\",7.25\n");
    assert_eq!(export(json!({}), "xlsx").await.status, 400);
    assert_eq!(export(json!({"columns": ["none"]}), "csv").await.status, 400);
    let hidden = server.catalog().add_key("k", Some("you"), Right::Read).await.unwrap().secret;
    let body = json!({"format": "csv"});
    let answer = server.call(&hidden, "POST", &format!("{TABLE}/export"), &[], &body).await;
    assert_eq!(answer.status, 404);
}
