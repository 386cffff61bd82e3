//! `cargo xtask crash`: processes that are killed, and the count of their rows.

use std::process::Command as Process;

use crate::{Command, Failure, cargo, process};

pub(crate) const COMMAND: Command = Command {
    name: "crash",
    about: "kill a server and the programs that log to it, and count what became of the rows",
    help: "\
Starts `streamtable serve`, programs that log to it with a spool on disk, and a
proxy between them that cuts, delays and doubles what goes through. Kills server
and programs by SIGKILL at random moments. In the end a last program delivers
what the others left, and all rows are read back and compared with what `log`
took. Prints the tally; the exit code is 1 unless no row was lost, none is there
twice, and each program's are in order. The first build takes some minutes.

Usage: cargo xtask crash [OPTIONS]

Options:
      --seconds N   how long to kill, 60 by default
      --seed N      makes the same choices as the run that printed this number;
                    what the processes do meanwhile differs all the same
      --json        print the tally as JSON
  -h, --help        print this

Ctrl-C ends the killing early; the rows are delivered and counted all the same.
",
    run: |args| process::replace(build(args)?).map_err(failed),
};

/// Runs it for a while as a check, inside of this process.
pub(crate) fn check(args: &[&str]) -> Result<(), Failure> {
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    process::run(&mut build(&args)?).map_err(failed)
}

/// Builds both programs, and returns the call of the one that kills.
fn build(args: &[String]) -> Result<Process, Failure> {
    // With the workspace's features, so that nothing is compiled for this alone. Not quiet: it may
    // take minutes.
    let what = ["--workspace", "--all-features", "--bin", "streamtable", "--example", "crash"];
    let messages = cargo::build(&what).map_err(failed)?;
    let program = |name: &str| {
        cargo::executable(&messages, name).ok_or_else(|| failed(format!("cargo built no `{name}`")))
    };
    let mut command = Process::new(program("crash")?);
    command.arg("--server").arg(program("streamtable")?).args(args);
    Ok(command)
}

fn failed(why: String) -> Failure {
    Failure::Failed(format!("crash: {why}"))
}
