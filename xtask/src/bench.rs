//! `cargo xtask bench`: benchmarks StreamTable and other clients in one run.

use std::path::PathBuf;

use lexopt::prelude::*;

use crate::{Command, Failure, cargo, clients, micro, process, python, venv};

/// The Python packages of the other clients, in addition to the environments of `cargo xtask
/// clients`.
const REQUIREMENTS: &str = "bench/peers/requirements.txt";

pub(crate) const COMMAND: Command = Command {
    name: "bench",
    about: "benchmark client and server, compared with other clients",
    help: "\
Builds everything for release, installs the other clients into virtual environments
in target/, and measures: the duration of a call, end-to-end throughput, the same
rows by other clients, memory during an outage, several writers, the latency to a
reader, larger tables, and queries of ten million rows compared with DuckDB and Polars.

A full run takes about half an hour on two cores, and needs 10 GiB of disk space.
Prints Markdown tables, and writes JSON and a chart to target/bench.

Usage: cargo xtask bench [OPTIONS] [-- OPTIONS OF THE BENCH]

Options:
      --no-peers             skip the other clients, and install nothing
      --micro                instead, time the single hot paths
      --instructions         instead, count their instructions with valgrind
      --debug                build without optimisation, to test the bench itself
  -h, --help                 print this

`cargo xtask bench -- --help` lists the options of the bench itself: sections and sizes.
",
    run,
};

/// The parsed arguments.
#[derive(Debug, Default, PartialEq)]
struct Request {
    no_peers: bool,
    is_debug: bool,
    micro: bool,
    instructions: bool,
    /// Arguments that are passed to the bench itself.
    rest: Vec<String>,
}

fn run(parser: lexopt::Parser) -> Result<(), Failure> {
    Ok(measure(&parse(parser)?)?)
}

fn measure(request: &Request) -> Result<(), String> {
    if request.micro || request.instructions {
        if request.micro {
            micro::time(request.is_debug)?;
        }
        if request.instructions {
            micro::count(request.is_debug)?;
        }
        return Ok(());
    }
    let mut build = cargo::command();
    build.args(["build", "-p", "streamtable-cli", "-p", "streamtable-bench"]);
    if !request.is_debug {
        build.arg("--release");
    }
    process::run(build.current_dir(cargo::root()))?;
    let folder = cargo::target().join("bench");
    let profile = if request.is_debug { "debug" } else { "release" };
    let program = cargo::target().join(profile).join("streamtable-bench");
    let mut bench = std::process::Command::new(program);
    bench.arg("--json").arg(folder.join("bench.json"));
    let rest = &request.rest;
    // Draw the chart only if all sections run.
    if !rest.iter().any(|arg| arg.starts_with("--only")) {
        bench.arg("--svg").arg(folder.join("bench.svg"));
    }
    if !request.no_peers && !rest.iter().any(|arg| arg == "--list" || arg == "--help") {
        clients::provide()?;
        let requirements: PathBuf = cargo::root().join(REQUIREMENTS);
        venv::provide(&requirements, &clients::folder().join("peers"))?;
        python::provide(clients::folder().join("streamtable"))?;
        bench.arg("--environments").arg(clients::folder());
    }
    process::run(bench.args(rest))
}

fn parse(mut parser: lexopt::Parser) -> Result<Request, Failure> {
    let mut request = Request::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("no-peers") => request.no_peers = true,
            Long("debug") => request.is_debug = true,
            Long("micro") => request.micro = true,
            Long("instructions") => request.instructions = true,
            Value(first) => request.rest = crate::rest(first, &mut parser)?,
            _ => return Err(arg.unexpected().into()),
        }
    }
    Ok(request)
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
        check("", Ok(Request::default()));
        check("--micro --debug", Ok(Request { micro: true, is_debug: true, ..Request::default() }));
        let rest = ["--only", "live"].map(str::to_owned).into();
        check(
            "--no-peers -- --only live",
            Ok(Request { no_peers: true, rest, ..Request::default() }),
        );
        check("--fast", Err("invalid option '--fast'"));
    }
}
