//! Other programs read the folder of a table in place. `cargo xtask clients` runs these tests.

mod buckets;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use streamtable_store::Store as _;
use tokio::process::Command;

use crate::mixed::log;
use crate::support::Folder;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the environments of `cargo xtask clients`"]
async fn delta_rs_duckdb_and_polars_read_lists_in_place() {
    let folder = Folder::new();
    let store = folder.open().await;
    let rows = [
        r#"{"k":1,"v":[0.5,-1.0],"ids":[1,null],"tags":["a"],"done":[true]}"#,
        r#"{"k":2,"v":[],"tags":["b",""]}"#,
        r#"{"k":3,"tags":null}"#,
    ];
    log(&store, "me/shop/t", "a", &rows).await;
    store.flush().await.unwrap();
    log(&store, "me/shop/t", "b", &[r#"{"k":4,"v":[2.5,3]}"#]).await;
    store.close().await.unwrap();

    let found = read(&folder.path().join("tables/me/shop/t"), &["v", "ids", "tags", "done"]).await;
    let expected = json!([
        {"v": [0.5, -1.0], "ids": [1, null], "tags": ["a"], "done": [true]},
        {"v": [], "ids": null, "tags": ["b", ""], "done": null},
        {"v": null, "ids": null, "tags": null, "done": null},
        {"v": [2.5, 3.0], "ids": null, "tags": null, "done": null},
    ]);
    for reader in ["delta-rs", "duckdb", "polars"] {
        assert_eq!(found[reader]["rows"], expected, "{reader}");
    }
    let of_delta = |element| json!({"type": "array", "elementType": element, "containsNull": true});
    let types = [
        (
            "delta-rs",
            json!({
                "v": of_delta("double"), "ids": of_delta("long"), "tags": of_delta("string"),
                "done": of_delta("boolean"),
            }),
        ),
        (
            "duckdb",
            json!({
                "v": "DOUBLE[]", "ids": "BIGINT[]", "tags": "VARCHAR[]", "done": "BOOLEAN[]",
            }),
        ),
        (
            "polars",
            json!({
                "v": "List(Float64)", "ids": "List(Int64)", "tags": "List(String)",
                "done": "List(Boolean)",
            }),
        ),
    ];
    for (reader, expected) in types {
        assert_eq!(found[reader]["types"], expected, "{reader}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the environments of `cargo xtask clients`"]
async fn delta_rs_duckdb_and_polars_read_structs_in_place() {
    let folder = Folder::new();
    let store = folder.open().await;
    let rows = [
        r#"{"k":1,"s":{"lr":0.5},"grid":[[1,2],[]],"hits":[{"id":7}]}"#,
        r#"{"k":2,"s":{},"hits":[]}"#,
    ];
    log(&store, "me/shop/t", "a", &rows).await;
    store.flush().await.unwrap();
    let grown = r#"{"k":3,"s":{"name":"b","net":{"sizes":[8]}},"hits":[{"id":8,"ok":true}]}"#;
    log(&store, "me/shop/t", "b", &[grown]).await;
    store.flush().await.unwrap();
    store.close().await.unwrap();

    let found = read(&folder.path().join("tables/me/shop/t"), &["s", "grid", "hits"]).await;
    let none = json!({"lr": null, "name": null, "net": null});
    let first = json!({"lr": 0.5, "name": null, "net": null});
    let third = json!({"lr": null, "name": "b", "net": {"sizes": [8]}});
    let expected = json!([
        {"s": first, "grid": [[1, 2], []], "hits": [{"id": 7, "ok": null}]},
        {"s": none, "grid": null, "hits": []},
        {"s": third, "grid": null, "hits": [{"id": 8, "ok": true}]},
    ]);
    for reader in ["delta-rs", "duckdb", "polars"] {
        assert_eq!(found[reader]["rows"], expected, "{reader}");
    }
    let types = json!({
        "s": "STRUCT(lr DOUBLE, \"name\" VARCHAR, net STRUCT(sizes BIGINT[]))",
        "grid": "BIGINT[][]",
        "hits": "STRUCT(id BIGINT, ok BOOLEAN)[]",
    });
    assert_eq!(found["duckdb"]["types"], types);
}

/// Returns the types and rows of columns of a table as each program finds them.
async fn read(table: &Path, columns: &[&str]) -> Value {
    let clients = std::env::var_os("STREAMTABLE_CLIENTS").unwrap_or_default();
    let python = PathBuf::from(clients).join("readers/bin/python");
    assert!(python.exists(), "run `cargo xtask clients`");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/tests/clients");
    let mut command = Command::new(python);
    command.arg(scripts.join("read_folder.py")).arg(table).args(columns).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}
