//! `cargo xtask demo`: the digits example.

use crate::{Command, Failure, cargo};

pub(crate) const COMMAND: Command = Command {
    name: "demo",
    about: "stream 1,797 hand-written digits into a table and print its link",
    help: "\
Streams the 1,797 hand-written digits of the example `digits` into a table on
this machine, prints the table's link and ends with the tally of the rows.

Usage: cargo xtask demo

Options:
  -h, --help   print this
",
    run,
};

fn run(args: &[String]) -> Result<(), Failure> {
    if let Some(arg) = args.first() {
        return Err(Failure::Usage(format!("demo: takes no `{arg}`")));
    }
    // Not quiet: the first build takes minutes, and cargo shows how far it is.
    let mut command = cargo::command();
    command.args(["run", "--package", "streamtable", "--example", "digits"]);
    command.current_dir(cargo::root());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::Failed(format!("the demo ended with {status}"))),
        Err(error) => Err(Failure::Failed(format!("cargo did not start: {error}"))),
    }
}
