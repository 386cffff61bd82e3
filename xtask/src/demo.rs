//! `cargo xtask demo`: `streamtable demo`.

use crate::{Command, Failure, cargo, process};

pub(crate) const COMMAND: Command = Command {
    name: "demo",
    about: "run a server with live demo data (hand-written digits), and print its URL",
    help: "\
Runs `streamtable demo`: a server on a free port of this machine, into which
hand-written digits are streamed until Ctrl-C. Prints the URL to open, and a
summary of the rows at the end. The first build takes some minutes.

Usage: cargo xtask demo [OPTIONS]

Options:
      --rows N           end after N rows, instead of at Ctrl-C
      --rate R           log R rows per second
      --addr ADDR:PORT   the address to listen on
      --data DIR         keep the rows in this folder
  -h, --help             print this
",
    run,
};

fn run(mut parser: lexopt::Parser) -> Result<(), Failure> {
    // Not quiet: the first build takes minutes, and cargo shows its progress.
    let mut command = cargo::command();
    command.args(["run", "--package", "streamtable-cli", "--", "demo"]).args(parser.raw_args()?);
    Ok(process::replace(command)?)
}
