//! `cargo xtask browser`: the board's page in a real browser, against the real server.

use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

use crate::{Command, Failure, cargo, node, process};

/// Where the tests are.
const TESTS: &str = "tests/browser";

/// What a Chromium may be called.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// With the workspace's features, so that nothing is compiled for this alone.
const BUILD: &str = "build --workspace --all-features --bin streamtable";

pub(crate) const COMMAND: Command = Command {
    name: "browser",
    about: "test the board's page in Chromium, against the real server",
    help: "\
Tests the board's page in headless Chromium, against the real `streamtable`.

Builds the binary, installs the packages of tests/browser and, for root on a system
with apt-get, Chromium where they are not there yet. Screenshots go to
target/browser.

Usage: cargo xtask browser [OPTIONS] [PATTERN]

Arguments:
  [PATTERN]     run the tests whose names match this regular expression

Options:
  -h, --help    print this

Needs Node 20 with npm.
",
    run: |args| match args {
        [] => run(None),
        [pattern] if !pattern.starts_with('-') => run(Some(pattern)),
        [arg, ..] => Err(Failure::Usage(format!("browser: takes no `{arg}`"))),
    },
};

/// Runs the tests, or those whose names match.
pub(crate) fn run(pattern: Option<&str>) -> Result<(), Failure> {
    try_run(pattern).map_err(|why| Failure::Failed(format!("browser: {why}")))
}

fn try_run(pattern: Option<&str>) -> Result<(), String> {
    let chromium = provide_chromium()?;
    let tests = cargo::root().join(TESTS);
    node::provide_packages(&tests)?;
    process::run(cargo::command().args(BUILD.split_whitespace()).current_dir(cargo::root()))?;
    let mut node = Process::new("node");
    node.args(["--test", "--test-concurrency=1", "--test-reporter=spec"])
        .args(pattern.map(|pattern| format!("--test-name-pattern={pattern}")))
        .arg("board.test.mjs")
        .current_dir(&tests)
        .env("CHROMIUM", chromium)
        .env("STREAMTABLE", cargo::target().join("debug/streamtable"))
        .env("SCREENSHOTS", cargo::target().join("browser"));
    process::run(&mut node)
}

/// Returns where Chromium is; for root on a system with apt-get, it is installed where it is missing.
pub(crate) fn provide_chromium() -> Result<PathBuf, String> {
    if let Some(found) = find() {
        return Ok(found);
    }
    let missing = "Chromium is missing: `apt-get install chromium`, or what your system calls it";
    if !is_root() || !answers("apt-get") {
        return Err(missing.to_owned());
    }
    println!("Chromium is missing: apt-get installs it now");
    process::run(Process::new("apt-get").args(["-qq", "update"]))?;
    let mut install = Process::new("apt-get");
    install.args(["-qq", "install", "--yes", "--no-install-recommends"]);
    install.args(["chromium", "fonts-dejavu-core"]).env("DEBIAN_FRONTEND", "noninteractive");
    process::run(install.stdout(Stdio::null()))?;
    find().ok_or_else(|| missing.to_owned())
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |it| it.join(name)))
        .find(|it| it.is_file())
}

fn is_root() -> bool {
    let id = Process::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn answers(program: &str) -> bool {
    let mut probe = Process::new(program);
    probe.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}
