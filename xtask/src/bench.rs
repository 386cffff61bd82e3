//! `cargo xtask bench`: what it costs, beside what others cost, in one run.

use std::path::PathBuf;

use crate::{Command, Failure, cargo, clients, process, python, venv};

/// What the peers need, beside the sets of versions of `cargo xtask clients`.
const REQUIREMENTS: &str = "bench/peers/requirements.txt";

pub(crate) const COMMAND: Command = Command {
    name: "bench",
    about: "measure the client and the server beside their peers, and print one table",
    help: "\
Builds everything for release, installs the peers into virtual environments below
target/, and measures: the time of a call, rows from end to end, the same rows by
other clients, memory while the server is away, several writers, how soon a row is
seen, growth, and questions to ten million rows beside DuckDB and Polars.

A whole run takes about half an hour on two cores, and 10 GiB of disk.
Prints tables in Markdown; target/bench has them as JSON and a picture.

Usage: cargo xtask bench [OPTIONS] [-- OPTIONS OF THE BENCH]

Options:
      --no-peers             leave the peers out, and install nothing
  -h, --help                 print this

`cargo xtask bench -- --help` says what the bench itself takes: sections and sizes.
",
    run,
};

fn run(args: &[String]) -> Result<(), Failure> {
    let (mut peers, mut rest) = (true, &args[..0]);
    for (i, arg) in args.iter().enumerate() {
        match arg.as_str() {
            "--no-peers" => peers = false,
            "--" => {
                rest = &args[i + 1..];
                break;
            }
            _ => {
                let message = format!("bench takes no `{arg}`; `cargo xtask bench --help`");
                return Err(Failure::Usage(message));
            }
        }
    }
    let failed = |why: String| Failure::Failed(format!("bench: {why}"));
    let mut build = cargo::command();
    build.args(["build", "--release", "-p", "streamtable-cli", "-p", "streamtable-bench"]);
    process::run(build.current_dir(cargo::root())).map_err(failed)?;
    let folder = cargo::target().join("bench");
    let mut bench = std::process::Command::new(cargo::target().join("release/streamtable-bench"));
    bench.arg("--json").arg(folder.join("bench.json"));
    // A part of the figures makes no picture.
    if !rest.iter().any(|arg| arg.starts_with("--only")) {
        bench.arg("--svg").arg(folder.join("bench.svg"));
    }
    if peers && !rest.iter().any(|arg| arg == "--list" || arg == "--help") {
        clients::provide()?;
        let requirements: PathBuf = cargo::root().join(REQUIREMENTS);
        venv::provide(&requirements, &clients::folder().join("peers")).map_err(failed)?;
        python::provide(clients::folder().join("streamtable"))?;
        bench.arg("--environments").arg(clients::folder());
    }
    process::run(bench.args(rest)).map_err(failed)
}
