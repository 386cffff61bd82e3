//! `cargo xtask evcxr`: tests the display of a table in the kernel of Rust notebooks.

use std::process::Command as Process;

use crate::{Command, cargo, process, venv};

/// The kernel's crate, and its version.
const KERNEL: [&str; 3] = ["evcxr_jupyter", "--version", "0.22.0"];

/// The folder of the test.
const TEST: &str = "tests/evcxr";

pub(crate) const COMMAND: Command = Command {
    name: "evcxr",
    about: "test that a table shows its panel in a Rust notebook",
    help: "\
Runs cells in evcxr, the kernel of Rust notebooks: a table on a line of its own
must show its panel. Installs the kernel and a client of it into target/evcxr if
they are missing, which takes some minutes, and so does compiling the crates in
the kernel. For nightly runs.

Usage: cargo xtask evcxr [OPTIONS]

Options:
  -h, --help  print this

Needs python3 with its venv module.
",
    run: |mut parser| match parser.next()? {
        Some(arg) => Err(arg.unexpected().into()),
        None => Ok(check()?),
    },
};

fn check() -> Result<(), String> {
    let (root, folder) = (cargo::root(), cargo::target().join("evcxr"));
    let kernel = folder.join("bin/evcxr_jupyter");
    if !kernel.is_file() {
        let mut install = cargo::command();
        install.args(["install", "--debug", "--locked", "--root"]).arg(&folder).args(KERNEL);
        process::run(&mut install)?;
    }
    let python = folder.join("python");
    venv::provide(&root.join(TEST).join("requirements.txt"), &python)?;
    let mut test = Process::new(python.join("bin/python"));
    process::run(test.arg(root.join(TEST).join("kernel.py")).arg(kernel).arg(root))
}
