//! `cargo xtask demo`: `streamtable demo`.

use crate::{Command, Failure, cargo, process};

pub(crate) const COMMAND: Command = Command {
    name: "demo",
    about: "run a server that is filled with hand-written digits, and tell how to look at them",
    help: "\
Runs `streamtable demo`: a server on a free port of this machine, into which
hand-written digits are streamed until Ctrl-C. Tells where to look at them, and
ends with the tally of the rows. The first build takes some minutes.

Usage: cargo xtask demo [OPTIONS]

Options:
      --rows N           end after so many rows, instead of at Ctrl-C
      --rate R           how many rows to log each second
      --addr ADDR:PORT   the address to listen on
      --data DIR         keep the rows in a folder
  -h, --help             print this
",
    run,
};

fn run(args: &[String]) -> Result<(), Failure> {
    // Not quiet: the first build takes minutes, and cargo shows how far it is.
    let mut command = cargo::command();
    command.args(["run", "--package", "streamtable-cli", "--", "demo"]).args(args);
    process::replace(command).map_err(|why| Failure::Failed(format!("demo: {why}")))
}
