//! Servers with tables in the buckets of object stores that `cargo xtask clients` installs.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::object_stores::{KEY_ID, SECRET, Server as ObjectStore, program};
use crate::support::{Home, Server, until};

const STORE: &str = "s3://bucket/some/prefix";

const TABLE: &str = "me/shop/requests";

/// Returns a home folder whose commands have the key of an object store.
fn home(store: &ObjectStore) -> Home {
    let mut home = Home::new();
    home.variables = vec![
        ("AWS_ENDPOINT_URL", store.url()),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", KEY_ID.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
    ];
    home
}

/// Logs rows `{"n": …}`.
fn log(home: &Home, numbers: std::ops::Range<u64>) {
    let rows: String = numbers.map(|n| format!("{{\"n\":{n}}}\n")).collect();
    home.pipe(&["log", TABLE], &rows).ok();
}

/// Returns the count of rows, the count of different numbers, and their sum.
fn counts(home: &Home) -> String {
    let sql = "select count(*), count(distinct n), sum(n) from me.shop.requests";
    let out = home.run(&["query", "--format", "csv", sql]).ok();
    out.lines().nth(1).unwrap_or_default().to_owned()
}

fn expected(rows: u64) -> String {
    format!("{rows},{rows},{}", rows * (rows - 1) / 2)
}

#[test]
#[ignore = "needs SeaweedFS; run `cargo xtask clients`"]
fn a_killed_server_has_all_rows_in_its_log_and_its_bucket() {
    let store = ObjectStore::seaweedfs();
    let mut home = home(&store);
    let server = home.serve(&["--store", STORE]);
    log(&home, 0..1_000);
    let stopped = server.stop();
    assert!(stopped.out.contains("with its tables in s3://bucket/some/prefix"), "{}", stopped.out);
    // The first rows are in the bucket now. The next ones are only in the log.
    let server = home.serve(&["--store", STORE]);
    log(&home, 1_000..1_500);
    assert_eq!(counts(&home), expected(1_500));
    drop(server);
    assert!(!home.path("data/store/tables").exists(), "rows are in the data folder");
    let server = home.serve(&["--store", STORE]);
    assert_eq!(counts(&home), expected(1_500));
    server.stop();

    let mut read = Command::new(program("bucket-readers", "python"));
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/tests/clients");
    read.arg(scripts.join("read_bucket.py")).arg(format!("{STORE}/tables/{TABLE}")).arg("n");
    let read = read.envs(home.variables.clone()).env("NO_PROXY", "127.0.0.1").output().unwrap();
    let out = String::from_utf8_lossy(&read.stdout);
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let found = "[1500, 1500, 1124250]";
    let all = format!(r#"{{"delta-rs": {found}, "duckdb": {found}, "polars": {found}}}"#);
    assert_eq!(out.trim(), all);

    // Without the bucket, or with another, nothing is served; nor is the bucket without its log.
    let refused = home.run(&["serve", "--data", "data", "--addr", "127.0.0.1:0"]);
    assert!(refused.err.contains("start with --store s3://bucket/some/prefix"), "{}", refused.err);
    let other = ["serve", "--data", "other", "--addr", "127.0.0.1:0", "--store", STORE];
    let refused = home.run(&other);
    assert!(refused.err.contains("tables of another store"), "{}", refused.err);

    // A backup has all but the tables, and a server in it does not write them beside the first.
    let made = home.run(&["backup", "--data", "data", "backups"]).ok();
    assert!(made.contains("the tables in s3://bucket/some/prefix are not in it"), "{made}");
    let backup = made.split_once(": ").unwrap().0;
    let refused = home.run(&["serve", "--data", backup, "--addr", "127.0.0.1:0"]);
    assert!(refused.err.contains("start with --store s3://bucket/some/prefix"), "{}", refused.err);
    let again = ["serve", "--data", backup, "--addr", "127.0.0.1:0", "--store", STORE];
    let refused = home.run(&again);
    assert!(refused.err.contains("tables of another store"), "{}", refused.err);
}

#[test]
#[ignore = "needs SeaweedFS; run `cargo xtask clients`"]
fn a_server_answers_while_seaweedfs_is_away() {
    let mut store = ObjectStore::seaweedfs();
    let mut home = home(&store);
    let server = home.serve(&["--store", STORE]);
    log(&home, 0..1_000);
    server.stop();
    let server = home.serve(&["--store", STORE]);
    store.kill();
    log(&home, 1_000..1_200);
    let refused = home.run(&["query", "--format", "csv", "select sum(n) from me.shop.requests"]);
    assert_ne!(refused.code, Some(0));
    assert!(refused.err.contains("stored rows cannot be read now"), "{}", refused.err);
    assert!(refused.err.contains("no answer from http://127.0.0.1"), "{}", refused.err);
    // A start without the bucket would not know which lines are stored.
    drop(server);
    let args = ["serve", "--data", "data", "--addr", "127.0.0.1:0", "--store", STORE];
    let refused = home.run(&args);
    assert!(refused.err.contains("no answer from http://127.0.0.1"), "{}", refused.err);
    store.start();
    let _server = serve_when_ready(&mut home);
    until("all rows can be read", || counts(&home) == expected(1_200));
}

/// Starts a server once its bucket takes writes, which is some time after it accepts connections.
fn serve_when_ready(home: &mut Home) -> Server {
    let args =
        ["serve", "--data", "probe", "--addr", "127.0.0.1:0", "--store", "s3://bucket/probe"];
    for _ in 0..60 {
        let mut child = home.command(&args).spawn().unwrap();
        std::thread::sleep(Duration::from_secs(3));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
            break;
        }
    }
    home.serve(&["--store", STORE])
}

#[test]
#[ignore = "needs SeaweedFS and moto; run `cargo xtask clients`"]
fn buckets_that_cannot_be_used_are_refused_in_one_line() {
    let store = ObjectStore::seaweedfs();
    #[track_caller]
    fn check(home: &Home, url: &str, expected: &str) {
        let args = ["serve", "--data", "data", "--addr", "127.0.0.1:0", "--store", url];
        let refused = home.run(&args);
        assert_eq!(refused.code, Some(1), "{}{}", refused.out, refused.err);
        assert!(refused.err.contains(expected), "{}", refused.err);
        assert!(
            refused.err.contains(url) && refused.err.trim().lines().count() == 1,
            "{}",
            refused.err
        );
        assert!(!refused.err.contains(SECRET), "{}", refused.err);
    }
    let moto = ObjectStore::moto();
    // SeaweedFS creates the bucket.
    check(&home(&moto), "s3://missing/prefix", "there is no such bucket");
    let mut home = home(&store);
    home.variables.push(("AWS_SECRET_ACCESS_KEY", "wrong".to_owned()));
    check(&home, STORE, "access denied (403)");
    home.variables.push(("AWS_ENDPOINT_URL", "http://127.0.0.1:1".to_owned()));
    check(&home, STORE, "no answer from http://127.0.0.1:1: Connection refused");
    check(&home, "ftp://bucket/prefix", "expected a URL s3://");
}
