//! Tables that are neither finished nor dropped when the process ends, such as those in a `static`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use streamtable::blocking::StreamTable;
use streamtable::spool::SpoolConfig;
use streamtable::{Append, AppendError, Appended, Backend, Buffering, Settings, row};

use crate::support::NAME;

/// Set in the process under test: what it does.
const CHILD: &str = "STREAMTABLE_TEST_EXIT";
/// Set in the process under test: its folder.
const DIR: &str = "STREAMTABLE_TEST_DIR";

const ROWS: i64 = 500;

/// Appends the lines to a file.
#[derive(Debug)]
struct ToFile(PathBuf);

#[async_trait]
impl Backend for ToFile {
    fn identity(&self) -> Option<String> {
        Some("file".to_owned())
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.0).unwrap();
        for line in append.lines.iter() {
            file.write_all(line).unwrap();
            file.write_all(b"\n").unwrap();
        }
        Ok(Appended::default())
    }
}

/// Never responds.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl Backend for Silent {
    fn identity(&self) -> Option<String> {
        Some("silent".to_owned())
    }

    async fn append(&self, _: Append) -> Result<Appended, AppendError> {
        std::future::pending().await
    }
}

/// Panics, as a program with a bug does.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl Backend for Broken {
    async fn append(&self, _: Append) -> Result<Appended, AppendError> {
        panic!("on purpose")
    }
}

static TABLE: OnceLock<StreamTable> = OnceLock::new();

/// The process under test: logs rows to a static table and exits without `finish`.
fn child(mode: &str, dir: &Path) -> ! {
    let builder = StreamTable::builder(NAME).settings(Settings::default()).print_url(false);
    let builder = match mode {
        "reachable" | "guard" => builder.backend(ToFile(dir.join("rows"))),
        "panic" => builder.backend(Broken),
        _ => builder.backend(Silent).drop_timeout(Duration::ZERO),
    };
    let spool = SpoolConfig { dir: Some(dir.join("spool")), ..SpoolConfig::default() };
    let builder = match mode {
        "spooled" | "finished" => builder.spool(spool),
        "offline" => builder.offline(spool),
        _ => builder.buffering(Buffering::Memory),
    };
    let builder = match mode {
        // Only the guard waits.
        "guard" => builder.drop_timeout(Duration::ZERO),
        _ => builder,
    };
    let table = TABLE.get_or_init(|| builder.open_blocking().unwrap());
    let guard = (mode == "guard").then(|| table.finish_on_drop(Duration::from_secs(60)));
    table.log((0..ROWS).map(|n| row! { "n" => n })).unwrap();
    drop(guard);
    match mode {
        "panic" => assert!(table.flush(Duration::from_secs(60)).is_err()),
        "finished" => assert!(table.finish_while(|| false).is_err()),
        "offline" => assert_eq!(table.finish().unwrap().pending, ROWS as u64),
        _ => {}
    }
    std::process::exit(0)
}

/// Runs this test again as a process that ends in this way. Returns its output and the number of
/// stored rows.
fn run(test: &str, mode: &str) -> (Output, usize) {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("exit::{test}"), "--nocapture"])
        .env(CHILD, mode)
        .env(DIR, dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let rows = std::fs::read_to_string(dir.path().join("rows")).unwrap_or_default();
    (output, rows.lines().count())
}

fn be_the_child() {
    if let (Ok(mode), Ok(dir)) = (std::env::var(CHILD), std::env::var(DIR)) {
        child(&mode, Path::new(&dir));
    }
}

#[track_caller]
fn check(test: &str, mode: &str, stored: i64, said: &str) {
    let (output, rows) = run(test, mode);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(rows as i64, stored, "{stderr}");
    let lines: Vec<&str> = stderr.lines().filter(|line| line.starts_with("streamtable:")).collect();
    match said {
        "" => assert!(lines.is_empty(), "{stderr}"),
        said => {
            assert!(matches!(lines[..], [line] if line.contains(said)), "{stderr}");
            assert!(stderr.contains("500 pending"), "{stderr}");
        }
    }
}

#[test]
fn rows_of_a_static_table_are_delivered_at_exit() {
    be_the_child();
    check("rows_of_a_static_table_are_delivered_at_exit", "reachable", ROWS, "");
}

#[test]
fn a_guard_finishes_a_static_table() {
    be_the_child();
    check("a_guard_finishes_a_static_table", "guard", ROWS, "");
}

#[test]
fn rows_left_in_memory_at_exit_are_reported() {
    be_the_child();
    let said = "rows of me/shop/requests are lost, because they were only in memory";
    check("rows_left_in_memory_at_exit_are_reported", "unreachable", 0, said);
}

#[test]
fn rows_left_in_the_spool_at_exit_are_reported() {
    be_the_child();
    let said = "rows of me/shop/requests stay in the spool until the table is opened again";
    check("rows_left_in_the_spool_at_exit_are_reported", "spooled", 0, said);
}

#[test]
fn a_panic_of_the_backend_is_reported() {
    be_the_child();
    check("a_panic_of_the_backend_is_reported", "panic", 0, "(the backend panicked)");
}

/// A caller that called `finish` knows what is left.
#[test]
fn the_result_of_finish_is_not_repeated() {
    be_the_child();
    check("the_result_of_finish_is_not_repeated", "finished", 0, "");
    check("the_result_of_finish_is_not_repeated", "offline", 0, "");
}
