//! `cargo xtask demo`: the digits example.

use crate::{Command, Failure, cargo};

pub(crate) const COMMAND: Command = Command {
    name: "demo",
    about: "stream 1,797 hand-written digits into a table and print its link",
    help: "\
Streams the 1,797 hand-written digits of the example `digits` into a table on
this machine, prints the table's link and ends with the tally of the rows.

Usage: cargo xtask demo [ARGUMENT]...
       cargo xtask demo -- --help    what the example takes

Every argument goes to the example.
",
    run,
};

fn run(args: &[String]) -> Result<(), Failure> {
    // A caller's own `--` only keeps `--help` from xtask; the example does not get it.
    let args = if args.first().is_some_and(|arg| arg == "--") { &args[1..] } else { args };
    // In the caller's folder, so that a relative path among the arguments means what it says.
    let mut command = cargo::command();
    command.args(["run", "--quiet", "--package", "streamtable", "--example", "digits", "--"]);
    command.args(args);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::Failed(format!("the demo ended with {status}"))),
        Err(error) => Err(Failure::Failed(format!("cargo did not start: {error}"))),
    }
}
