//! `cargo xtask crash`: kills processes and counts their rows.

use std::process::Command as Process;

use crate::{Command, cargo, process};

pub(crate) const COMMAND: Command = Command {
    name: "crash",
    about: "kill a server and its clients at random, and check that no row is lost",
    help: "\
Starts `streamtable serve`, clients that log to it with a spool on disk, and a
proxy between them that cuts, delays and duplicates requests. Kills server and
clients with SIGKILL at random moments. At the end, a last client delivers the
remaining rows, and all stored rows are compared with the rows that `log`
accepted. Prints a summary; the exit code is 1 if a row is lost, duplicated or
out of order. The first build takes some minutes.

Usage: cargo xtask crash [OPTIONS]

Options:
      --seconds N   duration of the killing [default: 60]
      --seed N      repeat the random choices of the run that printed this seed;
                    the timing of the processes still differs
      --json        print the summary as JSON
  -h, --help        print this

Ctrl-C ends the killing early; the rows are still delivered and counted.
",
    run: |mut parser| {
        let mut command = build()?;
        command.args(parser.raw_args()?);
        Ok(process::replace(command)?)
    },
};

/// Runs it briefly as a check, inside this process.
pub(crate) fn check(args: &[&str]) -> Result<(), String> {
    process::run(build()?.args(args))
}

/// Builds both programs, and returns the command of the driver.
fn build() -> Result<Process, String> {
    // With the workspace's features, to reuse the build of the tests. Not quiet, because it may
    // take minutes.
    let what = ["--workspace", "--all-features", "--bin", "streamtable", "--example", "crash"];
    let messages = cargo::build(&what)?;
    let program = |name: &str| {
        cargo::executable(&messages, name).ok_or_else(|| format!("cargo built no `{name}`"))
    };
    let mut command = Process::new(program("crash")?);
    command.arg("--server").arg(program("streamtable")?);
    Ok(command)
}
