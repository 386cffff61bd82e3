//! `cargo xtask hostile`: sends hostile requests to a server, and checks its responses.

use std::process::Command as Process;

use crate::{Command, cargo, process};

pub(crate) const COMMAND: Command = Command {
    name: "hostile",
    about: "send hostile requests to a server, and check that it lives, answers and keeps its rows",
    help: "\
Starts `streamtable serve` under limits of address space and memory. Four
attackers send it SQL, GraphQL, rows, posts, WebSocket messages and broken HTTP
that are deep, large, slow or wrong. Meanwhile a well-behaved writer logs rows,
and a probe asks for `/healthz`. In the end the writer's rows are counted, and
the server is asked to stop. Prints how requests of each kind ended, how long
`/healthz` took and the most memory the server had; the exit code is 1 if the
server died, did not stop, was silent for too long, used too much memory, or
lost or doubled a row. The first build takes some minutes.

Usage: cargo xtask hostile [OPTIONS]

Options:
      --seconds N        how long, 60 by default
      --seed N           sends the same requests as the run that printed this number
      --max-health-ms N  the longest time of `/healthz` in 99 of 100 cases, 1000 by
                         default; three times as long in any
      --memory-mib N     the server's memory limit, 1024 by default
  -h, --help             print this
",
    run: |mut parser| {
        let mut command = build()?;
        command.args(parser.raw_args()?);
        Ok(process::replace(command)?)
    },
};

/// Runs it as a check, inside this process.
pub(crate) fn check(args: &[&str]) -> Result<(), String> {
    process::run(build()?.args(args))
}

/// Builds both programs, and returns the command of the attacker.
fn build() -> Result<Process, String> {
    // With the workspace's features, to reuse the build of the tests.
    let what = ["--workspace", "--all-features", "--bin", "streamtable", "--example", "hostile"];
    let messages = cargo::build(&what)?;
    let program = |name: &str| {
        cargo::executable(&messages, name).ok_or_else(|| format!("cargo built no `{name}`"))
    };
    let mut command = Process::new(program("hostile")?);
    command.arg("--server").arg(program("streamtable")?);
    Ok(command)
}
