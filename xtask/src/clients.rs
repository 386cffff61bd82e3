//! `cargo xtask clients`: tests the real Python clients with the server.
//!
//! Each set of versions is a requirements file next to the programs that use it, and has its own
//! virtual environment in the target folder.

use std::fs;
use std::path::PathBuf;

use crate::{Command, Failure, cargo, venv};

/// The folder of the requirements files and the programs.
const FOLDER: &str = "crates/server/tests/clients";

/// The environment variable with the environments' folder, for the tests.
pub(crate) const VARIABLE: &str = "STREAMTABLE_CLIENTS";

/// The cargo arguments that run the tests.
pub(crate) const TESTS: &str = "nextest run --workspace --all-features --no-fail-fast --run-ignored only -E test(/^clients::/)";

pub(crate) const COMMAND: Command = Command {
    name: "clients",
    about: "test the real Python clients with the server",
    help: "\
Tests the real weave and wandb clients with the server.

Makes the missing virtual environments in target/clients, one for each set of
versions in crates/server/tests/clients, and runs the tests that use them.

Usage: cargo xtask clients [OPTIONS]

Options:
  -h, --help    print this

Needs python3 with its venv module; pip installs the rest.
",
    run: |args| {
        if let Some(arg) = args.first() {
            return Err(Failure::Usage(format!("clients: unknown argument `{arg}`")));
        }
        provide()?;
        let mut tests = cargo::command();
        tests.args(TESTS.split_whitespace()).env(VARIABLE, folder()).current_dir(cargo::root());
        match tests.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::Failed(format!("clients: the tests ended with {status}"))),
            Err(error) => Err(Failure::Failed(format!("clients: cannot start cargo: {error}"))),
        }
    },
};

/// Returns the folder of the environments.
pub(crate) fn folder() -> PathBuf {
    cargo::target().join("clients")
}

/// Makes the environments that are missing or outdated.
pub(crate) fn provide() -> Result<(), Failure> {
    let failed = |message: String| Failure::Failed(format!("clients: {message}"));
    let sets = fs::read_dir(cargo::root().join(FOLDER))
        .map_err(|error| failed(format!("cannot read {FOLDER}: {error}")))?;
    let mut sets: Vec<PathBuf> = sets
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    sets.sort();
    for set in sets {
        provide_one(&set.file_stem().unwrap_or_default().to_string_lossy())?;
    }
    Ok(())
}

/// Makes the environment of one set of versions.
pub(crate) fn provide_one(name: &str) -> Result<(), Failure> {
    let set = cargo::root().join(FOLDER).join(format!("{name}.txt"));
    venv::provide(&set, &folder().join(name))
        .map_err(|why| Failure::Failed(format!("clients: {name}: {why}")))
}
