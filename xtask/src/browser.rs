//! `cargo xtask browser`: tests the board's page in a real browser with the real server.

use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

use lexopt::prelude::*;

use crate::{Command, Failure, cargo, clients, node, process};

/// The folder of the tests.
const TESTS: &str = "tests/browser";

/// Possible names of the Chromium binary.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// With the workspace's features, to reuse the build of the tests.
const BUILD: &str = "build --workspace --all-features --bin streamtable";

/// The real client whose link is opened; its environment is made by `clients`.
const CLIENT: &str = "weave-0.24";

pub(crate) const COMMAND: Command = Command {
    name: "browser",
    about: "test the board's page in Chromium with the real server",
    help: "\
Tests the board's page in headless Chromium with the real server.

Builds the binary. Installs, if missing, the packages of tests/browser, the weave
client and, for root on a system with apt-get, Chromium. Screenshots are written
to target/browser. A file with a failed test is repeated once.

Usage: cargo xtask browser [OPTIONS] [PATTERN]
       cargo xtask browser --measure [--server FILE] [-- OPTIONS]

Arguments:
  [PATTERN]         run the tests whose names match this regular expression

Options:
      --measure     measure instead of testing: latency of new rows, load at
                    20,000 rows per second, queries of ten million rows;
                    `-- --help` lists its options
      --server FILE measure this binary [default: a release build]
  -h, --help        print this

Needs Node 20 with npm, and python3 with its venv module.
",
    run: |parser| match parse(parser)? {
        Request::Test { pattern } => Ok(run(pattern.as_deref())?),
        Request::Measure { server, rest } => Ok(measure(server, &rest)?),
    },
};

/// The parsed arguments.
#[derive(Debug, PartialEq)]
enum Request {
    Test { pattern: Option<String> },
    Measure { server: Option<PathBuf>, rest: Vec<String> },
}

fn parse(mut parser: lexopt::Parser) -> Result<Request, Failure> {
    let (mut server, mut is_measure, mut values) = (None, false, Vec::new());
    while let Some(arg) = parser.next()? {
        match arg {
            Long("measure") => is_measure = true,
            Long("server") => server = Some(parser.value()?.into()),
            Value(first) => values.extend(crate::rest(first, &mut parser)?),
            _ => return Err(arg.unexpected().into()),
        }
    }
    let usage = |why: &str| Err(Failure::Usage(why.to_owned()));
    match (is_measure, values.len()) {
        (true, _) => Ok(Request::Measure { server, rest: values }),
        (false, _) if server.is_some() => usage("`--server` needs `--measure`"),
        (false, 0 | 1) => Ok(Request::Test { pattern: values.pop() }),
        (false, _) => usage("more than one pattern"),
    }
}

/// Runs all tests, or those whose names match.
pub(crate) fn run(pattern: Option<&str>) -> Result<(), String> {
    clients::provide_one(CLIENT)?;
    node()?;
    process::run(cargo::command().args(BUILD.split_whitespace()).current_dir(cargo::root()))?;
    let failed: Vec<String> =
        files()?.into_iter().filter(|file| test_file(file, pattern).is_err()).collect();
    // Tests with a browser depend on the machine's timing.
    let mut broken = Vec::new();
    for file in failed {
        println!("{file} failed and is repeated once");
        match test_file(&file, pattern) {
            Ok(()) => println!("flaky: {file} passed when it was repeated"),
            Err(why) => broken.push(format!("{file}: {why}")),
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(broken.join("; ")) }
}

/// Returns the names of the files with tests, in order.
fn files() -> Result<Vec<String>, String> {
    let entries = cargo::root().join(TESTS).read_dir().map_err(|e| format!("{TESTS}: {e}"))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut files: Vec<String> = names.filter(|name| name.ends_with(".test.mjs")).collect();
    files.sort();
    Ok(files)
}

fn test_file(file: &str, pattern: Option<&str>) -> Result<(), String> {
    let mut node = node()?;
    node.args(["--test", "--test-reporter=spec"])
        .args(pattern.map(|pattern| format!("--test-name-pattern={pattern}")))
        .arg(file)
        .env("STREAMTABLE", cargo::target().join("debug/streamtable"))
        .env(clients::VARIABLE, clients::folder());
    process::run(&mut node)
}

fn measure(server: Option<PathBuf>, rest: &[String]) -> Result<(), String> {
    let mut node = node()?;
    let server = match server {
        Some(file) => file.canonicalize().map_err(|e| format!("{}: {e}", file.display()))?,
        None => {
            let build = ["build", "--release", "-p", "streamtable-cli"];
            process::run(cargo::command().args(build).current_dir(cargo::root()))?;
            cargo::target().join("release/streamtable")
        }
    };
    process::run(node.arg("measure.mjs").args(rest).env("STREAMTABLE", server))
}

/// Returns a command that runs Node in the tests' folder, after installing its packages.
fn node() -> Result<Process, String> {
    let chromium = provide_chromium()?;
    let tests = cargo::root().join(TESTS);
    node::provide_packages(&tests)?;
    let mut node = Process::new("node");
    node.current_dir(tests)
        .env("CHROMIUM", chromium)
        .env("SCREENSHOTS", cargo::target().join("browser"));
    Ok(node)
}

/// Returns the path of Chromium; installs it if it is missing and this is root with apt-get.
pub(crate) fn provide_chromium() -> Result<PathBuf, String> {
    if let Some(found) = find() {
        return Ok(found);
    }
    let missing =
        "Chromium is missing: run `apt-get install chromium`, or use your system's package manager";
    if !is_root() || !answers("apt-get") {
        return Err(missing.to_owned());
    }
    println!("Chromium is missing: installing it with apt-get");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        #[track_caller]
        fn check(args: &str, expected: Result<Request, &str>) {
            crate::check_arguments(parse, args, expected);
        }
        let test =
            |pattern: Option<&str>| Ok(Request::Test { pattern: pattern.map(str::to_owned) });
        check("", test(None));
        check("sort", test(Some("sort")));
        let rest = vec!["--rows".to_owned(), "7".to_owned()];
        check(
            "--measure --server s -- --rows 7",
            Ok(Request::Measure { server: Some("s".into()), rest }),
        );
        check("--measure", Ok(Request::Measure { server: None, rest: Vec::new() }));
        check("--fast", Err("invalid option '--fast'"));
        check("a b", Err("more than one pattern"));
        check("a --measure", Err("more than one pattern"));
        check("--server s", Err("`--server` needs `--measure`"));
        check("--measure --server", Err("missing argument for option '--server'"));
        check("--measure --rows 7", Err("invalid option '--rows'"));
    }
}
