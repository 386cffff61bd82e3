//! Tests with the real Python clients.
//!
//! Each set of client versions has a virtual environment in the folder named by
//! `STREAMTABLE_CLIENTS`. `cargo xtask clients` creates the environments and runs these tests.

mod cases;
mod nightly;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use streamtable_wire::HistoryLine;
use tokio::process::Command;

use crate::proxy::{Fault, Proxy};
use crate::support::Running;

/// Timeout of a Python script.
const PATIENCE: Duration = Duration::from_secs(150);

/// A server, a proxy that counts requests, and a home folder for the scripts.
struct Lab {
    server: Running,
    proxy: Proxy,
    venv: PathBuf,
    home: tempfile::TempDir,
}

impl Lab {
    /// Creates the environment for a set of client versions.
    async fn new(venv: &str, plan: impl Fn(usize, &str) -> Fault + Send + Sync + 'static) -> Self {
        let clients = std::env::var_os("STREAMTABLE_CLIENTS").unwrap_or_default();
        let venv = PathBuf::from(clients).join(venv);
        assert!(venv.join("bin/python").exists(), "run `cargo xtask clients`");
        let server = Running::start().await;
        let proxy = Proxy::start(server.host(), plan).await;
        Self { server, proxy, venv, home: tempfile::tempdir().unwrap() }
    }

    /// Runs a script and returns its output. Panics if the script fails.
    async fn run(&self, script: &str, args: &[&str]) -> String {
        let mut command = Command::new(self.venv.join("bin/python"));
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
        command
            .arg(scripts.join(script))
            .args(args)
            .current_dir(self.home.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("TZ", "UTC")
            .env("WANDB_BASE_URL", &self.proxy.url)
            .env("WANDB_API_KEY", &self.server.key)
            .env("WANDB_SILENT", "false")
            .env("WANDB_CONSOLE", "redirect")
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("{script} {args:?} timed out")).unwrap();
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "{script} {args:?}: {}\n{text}", output.status);
        text
    }

    async fn rows(&self, table: &str) -> Vec<HistoryLine> {
        let query = "query R($t: String!) { project(name: \"p\", entityName: \"me\") {
            run(name: $t) { history(minStep: 0, maxStep: 100000, samples: 10000) } } }";
        let data = self.server.ask(query, json!({ "t": table })).await;
        let lines = data["project"]["run"]["history"].as_array().unwrap().clone();
        let lines = lines.iter().map(|line| HistoryLine::parse(line.as_str().unwrap()).unwrap());
        lines.collect()
    }

    /// Checks that a table has the rows of the given writers, each numbered 0 to `count`, in order.
    async fn expect(&self, table: &str, writers: &[(&str, i64)]) -> Vec<HistoryLine> {
        let rows = self.rows(table).await;
        let total: i64 = writers.iter().map(|(_, count)| count).sum();
        assert_eq!(rows.len() as i64, total);
        for (who, count) in writers {
            let own = rows.iter().filter(|line| line.row.get("who") == Some(&(*who).into()));
            let numbers: Vec<_> = own.map(|line| line.row.get("i").cloned().unwrap()).collect();
            let expected: Vec<_> = (0..*count).map(streamtable_schema::Value::from).collect();
            assert_eq!(numbers, expected, "the rows of {who}");
        }
        rows
    }
}

async fn stream_table(venv: &str, prints_link: bool) {
    // Some responses are lost, and sometimes the server is busy.
    let posts = Arc::new(AtomicUsize::new(0));
    let plan = move |_, path: &str| match path.ends_with("/file_stream") {
        true if posts.fetch_add(1, Ordering::SeqCst) == 1 => Fault::LoseAnswer,
        _ => Fault::None,
    };
    let lab = Lab::new(venv, plan).await;
    let said = lab.run("stream_table.py", &["me", "p", "t", "7", "first"]).await;
    let rows = lab.expect("t", &[("first", 7)]).await;
    let row = &rows[3].row;
    for (name, value) in [
        ("float", streamtable_schema::Value::from(3.5)),
        ("nan", f64::NAN.into()),
        ("inf", f64::NEG_INFINITY.into()),
        ("text", "naïve 😀 \"quoted\"\n".into()),
        ("bool", false.into()),
        ("big", i64::MAX.into()),
        ("when", streamtable_schema::Timestamp::from_millis(1_704_164_645_000).into()),
    ] {
        assert_eq!(row.get(name), Some(&value), "{name}");
    }
    assert!(row.get("timestamp").is_some() && rows[3].logged_at.is_some());
    if prints_link {
        let link = said.split_whitespace().find(|word| word.contains("/?exp=")).unwrap();
        let auth = crate::support::basic(&lab.server.key);
        let page = crate::support::send("GET", link, &[("authorization", &auth)], "").await;
        assert_eq!(page.status, 200, "{link}");
        assert!(page.text().contains("me/p/t"), "{}", page.text());
    }

    // A second session continues after the first one.
    lab.run("stream_table.py", &["me", "p", "t", "5", "second"]).await;
    lab.expect("t", &[("first", 7), ("second", 5)]).await;

    // Two concurrent writers do not overwrite each other's rows.
    let (a, b) = (["me", "p", "both", "40", "a"], ["me", "p", "both", "40", "b"]);
    tokio::join!(lab.run("stream_table.py", &a), lab.run("stream_table.py", &b));
    lab.expect("both", &[("a", 40), ("b", 40)]).await;
    assert!(lab.proxy.count() < 200, "{} requests", lab.proxy.count());
}

#[tokio::test]
#[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
async fn weave_0_24_stream_table() {
    stream_table("weave-0.24", true).await;
}

#[tokio::test]
#[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
async fn weave_0_50_stream_table() {
    stream_table("weave-0.50", false).await;
}

/// The oldest client uploads images to URLs that it requests with an older query.
#[tokio::test]
#[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
async fn weave_0_24_images() {
    let lab = Lab::new("weave-0.24", |_, _| Fault::None).await;
    lab.run("stream_table.py", &["me", "p", "pictures", "1", "w", "--image"]).await;
    let rows = lab.rows("pictures").await;
    let Some(streamtable_schema::Value::Media(image)) = rows[1].row.get("image") else {
        panic!("no image: {:?}", rows[1].row);
    };
    assert_eq!(image.dimensions(), Some((4, 3)));
    let streamtable_schema::MediaSource::Stored(file) = image.source() else { panic!("no file") };
    let served = lab.server.get(&format!("/files/me/p/pictures/{}", file.path)).await;
    assert_eq!((served.status, served.header("content-type")), (200, "image/png"));
    assert!(served.body.starts_with(b"\x89PNG"));
}

#[tokio::test]
#[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
async fn wandb_0_31_logs_resumes_and_reads_back() {
    let lab = Lab::new("wandb-0.31", |_, _| Fault::None).await;
    lab.run("sdk.py", &["me", "p", "r1", "new"]).await;
    lab.run("sdk.py", &["me", "p", "r1", "resume"]).await;
    lab.run("incremental.py", &["me", "p", "r2"]).await;
    let said = lab.run("read_back.py", &["me", "p", "r1"]).await;
    let found = said.lines().find_map(|line| line.strip_prefix("FOUND ")).unwrap();
    let mut found: Value = serde_json::from_str(found).unwrap();
    let files = found["files"].take();
    let artifacts = found["artifacts"].take();
    let images = found["images"].take();
    assert_eq!(
        found,
        json!({
            "state": "finished",
            "config": {"lr": 0.1, "layers": [1, 2]},
            "tags": ["one", "two"],
            "group": "g",
            "loss": [1, 0.5, 0.25, 0.125, 0.0625],
            "scanned": 6,
            "sampled": 3,
            "files": null,
            "artifacts": null,
            "images": null,
            "runs": ["r1", "r2"],
            "filtered": [],
            "projects": ["p"],
            "summary_loss": 0.0625,
            "viewer": "me",
            "version": "v0",
            "aliases": ["best", "latest"],
            "metadata": {"k": 1},
            "content": "content of a",
            "empty": 0,
            "made_by": "r1",
        })
    );
    let files: Vec<&str> = files.as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    for wanted in
        ["config.yaml", "wandb-summary.json", "media/images/", "media/html/", "media/table/"]
    {
        assert!(files.iter().any(|file| file.starts_with(wanted)), "{wanted} in {files:?}");
    }
    assert!(images.as_array().unwrap().iter().all(|size| size.as_u64() > Some(0)));
    assert!(artifacts.to_string().contains("data:v0"), "{artifacts}");
    assert!(artifacts.to_string().contains("run-r1-table:v0"), "{artifacts}");
    assert!(lab.proxy.count() < 300, "{} requests", lab.proxy.count());

    // Each version of an incrementally logged table is complete.
    let query = "{ project(name: \"p\", entityName: \"me\") { artifactCollection(
        name: \"run-r2-incr-table\") { artifacts { edges { version node { fileCount state } } } } } }";
    let data = lab.server.ask(query, json!({})).await;
    let versions = data["project"]["artifactCollection"]["artifacts"]["edges"].clone();
    let versions: Vec<(String, i64)> = versions
        .as_array()
        .unwrap_or_else(|| panic!("{data}"))
        .iter()
        .map(|edge| {
            (
                edge["version"].as_str().unwrap().to_owned(),
                edge["node"]["fileCount"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(versions, [("v2".to_owned(), 3), ("v1".to_owned(), 2), ("v0".to_owned(), 1)]);
}

#[tokio::test]
#[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
async fn wandb_0_31_survives_a_bad_network() {
    let plan = |number, _: &str| match number % 6 {
        2 => Fault::LoseAnswer,
        4 => Fault::Busy,
        _ => Fault::None,
    };
    let lab = Lab::new("wandb-0.31", plan).await;
    lab.run("sdk.py", &["me", "p", "r1", "new"]).await;
    let rows = lab.rows("r1").await;
    let steps: Vec<Option<i64>> = rows.iter().map(|line| line.step).collect();
    assert_eq!(steps, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
    assert!(lab.proxy.count() < 300, "{} requests", lab.proxy.count());
}

/// Returns what a script found, from its output.
fn found(said: &str) -> Value {
    let found = said.lines().find_map(|line| line.strip_prefix("FOUND "));
    serde_json::from_str(found.unwrap_or_else(|| panic!("{said}"))).unwrap()
}

/// Runs a script of the older clients' reader: they read the rows that they wrote.
async fn legacy_rows(venv: &str) {
    let lab = Lab::new(venv, |_, _| Fault::None).await;
    let found = found(&lab.run("legacy_rows.py", &["me", "p", "t", "12"]).await);
    let numbers: Vec<_> = (0..12).collect();
    assert_eq!(found, json!({ "count": 12, "i": numbers, "b": numbers }), "{found}");
}

#[tokio::test]
#[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
async fn weave_0_24_reads_its_own_rows() {
    legacy_rows("weave-0.24").await;
}

#[tokio::test]
#[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
async fn weave_0_31_reads_its_own_rows() {
    legacy_rows("weave-0.31").await;
}

/// Large runs are read completely, by keys and without.
#[tokio::test]
#[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
async fn wandb_0_31_scans_300_000_rows() {
    const ROWS: usize = 300_000;
    let lab = Lab::new("wandb-0.31", |_, _| Fault::None).await;
    lab.server.make_run("me", "p", "large").await;
    for from in (0..ROWS).step_by(10_000) {
        let lines: Vec<String> = (from..from + 10_000)
            .map(|i| json!({ "i": i, "x": i as f64 / 7.0, "_step": i }).to_string())
            .collect();
        let body =
            json!({ "files": { "wandb-history.jsonl": { "offset": from, "content": lines } } });
        assert_eq!(lab.server.post("me/p/large", &[], &body.to_string()).await.status, 200);
    }
    let arguments = ["me", "p", "large", &ROWS.to_string()];
    let found = found(&lab.run("scan_keys.py", &arguments).await);
    for (part, rows) in
        [("start", 3_000), ("end", 3_000), ("part", 100_000), ("all columns", 3_000)]
    {
        assert_eq!((&found[part]["exact"], &found[part]["rows"]), (&json!(true), &json!(rows)));
    }
}

/// A client that logs an artifact again uploads the files that the server has lost.
async fn artifact_again(venv: &str) {
    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let lab = Lab::new(venv, |_, _| Fault::None).await;
    let file = lab.server.folder.path().join("files").join(&HELLO[..2]).join(HELLO);
    for lose in [true, true, false] {
        lab.run("artifact_again.py", &["me", "p"]).await;
        assert_eq!(std::fs::read(&file).unwrap(), b"hello");
        if lose {
            std::fs::remove_file(&file).unwrap();
        }
    }
    let query = "{ project(name: \"p\", entityName: \"me\") { artifactCollection(name: \"data\")
        { artifacts { edges { node { state versionIndex } } } } } }";
    let versions = lab.server.ask(query, json!({})).await;
    let versions = &versions["project"]["artifactCollection"]["artifacts"]["edges"];
    assert_eq!(*versions, json!([{ "node": { "state": "COMMITTED", "versionIndex": 0 } }]));
}

#[tokio::test]
#[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
async fn wandb_0_31_uploads_lost_files_of_artifacts_again() {
    artifact_again("wandb-0.31").await;
}

#[tokio::test]
#[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
async fn wandb_0_19_uploads_lost_files_of_artifacts_again() {
    artifact_again("wandb-0.19").await;
}

/// Every check of `wandb verify` passes, except those that need TLS or sweeps.
async fn verify(venv: &str, has_sweeps: bool) {
    let lab = Lab::new(venv, |_, _| Fault::None).await;
    let said = lab.run("verify.py", &[&lab.proxy.url]).await;
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("Checking")).collect();
    let failed = |line: &&str| line.contains('❌');
    let failed: Vec<&str> = lines.iter().copied().filter(failed).collect();
    let allowed = ["requests to base url", "over signed URLs", "sweep creation"];
    for line in &failed {
        assert!(allowed.iter().any(|allowed| line.contains(allowed)), "{said}");
    }
    assert_eq!(lines.len(), if has_sweeps { 10 } else { 9 }, "{said}");
    assert_eq!(said.contains("this server has no sweeps"), has_sweeps, "{said}");
    assert!(said.contains(if has_sweeps { "EXIT 1" } else { "EXIT 0" }), "{said}");
}

#[tokio::test]
#[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
async fn wandb_0_31_verify_passes_except_for_sweeps() {
    verify("wandb-0.31", true).await;
}

#[tokio::test]
#[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
async fn wandb_0_16_verify_passes() {
    verify("weave-0.50", false).await;
}

/// Uses the features beside logging: each does what it says, or says why it does not.
///
/// `link` is the client's message for a refused link. Version 0.19 does not wait for the answer.
async fn features(venv: &str, link: Option<&str>) {
    let lab = Lab::new(venv, |_, _| Fault::None).await;
    let found = found(&lab.run("features.py", &["me", "p"]).await);
    for (name, expected) in [
        ("aliases", json!(["latest"])),
        ("logged", json!(["data:v0", "data:v1", "data:v2"])),
        ("used", json!(["data:v2"])),
        ("versions", json!(["data:v0", "data:v1", "data:v2"])),
        ("download", json!(["ref.txt", "x.txt"])),
        ("regex", json!(["f1"])),
        ("reports", json!(0)),
        ("user", json!(true)),
        ("delete file", json!([])),
        ("delete latest artifact", json!(["data:v0", "data:v1"])),
        ("latest", json!("v1")),
        ("again", json!([100, 101, 102])),
        ("offline twice", json!([0, 1, 2])),
    ] {
        assert_eq!(found[name], expected, "{name}: {found:#}");
    }
    for (name, reason) in [
        ("delete aliased artifact", Some("alias")),
        ("delete run", Some("does not delete runs")),
        ("link", link),
        ("fork", Some("cannot fork runs")),
        ("rewind", Some("cannot rewind runs")),
        ("sweep", Some("has no sweeps")),
    ] {
        let said = found[name].as_str();
        let is_expected = match (said, reason) {
            (Some(said), Some(reason)) => said.contains(reason),
            (said, reason) => said.is_none() && reason.is_none(),
        };
        assert!(is_expected, "{name}: {found:#}");
    }
}

#[tokio::test]
#[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
async fn wandb_0_31_features() {
    features("wandb-0.31", Some("has no registry")).await;
}

#[tokio::test]
#[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
async fn wandb_0_22_features() {
    features("wandb-0.22", Some("has no registry")).await;
}

#[tokio::test]
#[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
async fn wandb_0_19_features() {
    features("wandb-0.19", None).await;
}

#[tokio::test]
#[ignore = "needs the real Python clients; run by `cargo xtask clients`"]
async fn perspective_5_6() {
    let lab = Lab::new("perspective-5.6", |_, _| Fault::None).await;
    let log = async |i: u32| {
        let who = if i.is_multiple_of(2) { "a" } else { "b" };
        let line = json!({ "i": i, "who": who }).to_string();
        let url = format!("{}/api/tables/me/p/t/rows", lab.server.url);
        let auth = crate::support::basic(&lab.server.key);
        let headers = [("authorization", &*auth)];
        assert_eq!(crate::support::send("POST", &url, &headers, line).await.status, 200);
    };
    for i in 0..5 {
        log(i).await;
    }
    // Rows are added while the page is open.
    let more = async {
        for i in 5.. {
            tokio::time::sleep(Duration::from_millis(500)).await;
            log(i).await;
        }
    };
    let socket = format!("ws://{}/api/live", lab.server.host());
    let arguments = [socket.as_str(), "me/p/t", "9"];
    let said = tokio::select! {
        said = lab.run("perspective_page.py", &arguments) => said,
        () = more => unreachable!("the writer never stops"),
    };
    let seen = said.lines().find_map(|line| line.strip_prefix("SEEN ")).unwrap();
    let seen: Value = serde_json::from_str(seen).unwrap();
    for (what, expected) in [
        ("tables", json!(["me/p/t"])),
        ("columns", json!(["timestamp", "i", "who", "_writer", "_line", "_pos"])),
        ("flat", json!({"i": [1.0, 2.0], "who": ["b", "a"]})),
        ("arrow", json!(true)),
        ("csv", json!("i,who\n0,a\n")),
        ("min_max", json!([0.0, 4.0])),
        (
            "grouped",
            json!({
                "__ROW_PATH__": [[], ["b"], ["a"]],
                "false|twice": [8.0, 8.0, null],
                "true|twice": [4.0, null, 4.0],
            }),
        ),
        ("grouped schema", json!({"twice": "float"})),
        ("expressions", json!({"twice": "float", "even": "boolean"})),
        ("config", json!(["who"])),
    ] {
        assert_eq!(seen[what], expected, "{what}: {seen}");
    }
    assert_eq!(seen["schema"]["timestamp"], "datetime");
    assert!(seen["rows after"].as_u64().unwrap() >= 9, "{seen}");
    assert!(seen["missing"].as_str().unwrap().contains("me/p/none"), "{seen}");
}
