//! `cargo xtask clients`: the real Python clients, against the server.
//!
//! Each set of versions is a file of requirements beside the programs that use it, and lives in a
//! virtual environment of its own below the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use crate::{Command, Failure, cargo};

/// Where the sets of versions and the programs are.
const FOLDER: &str = "crates/server/tests/clients";

/// The variable that tells the tests where the environments are.
pub(crate) const VARIABLE: &str = "STREAMTABLE_CLIENTS";

/// What runs the tests, behind the environments.
pub(crate) const TESTS: &str = "nextest run --workspace --all-features --no-fail-fast --run-ignored only -E test(/^clients::/)";

pub(crate) const COMMAND: Command = Command {
    name: "clients",
    about: "run the real Python clients against the server",
    help: "\
Runs the real weave and wandb clients against the server.

Makes a virtual environment for each set of versions in crates/server/tests/clients,
below target/clients, where it is not there yet; then runs the tests that use them.

Usage: cargo xtask clients [OPTIONS]

Options:
  -h, --help    print this

Needs python3 with its venv module; pip installs the rest.
",
    run: |args| {
        if let Some(arg) = args.first() {
            return Err(Failure::Usage(format!("clients: takes no `{arg}`")));
        }
        provide()?;
        let mut tests = cargo::command();
        tests.args(TESTS.split_whitespace()).env(VARIABLE, folder()).current_dir(cargo::root());
        match tests.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::Failed(format!("clients: the tests ended with {status}"))),
            Err(error) => Err(Failure::Failed(format!("clients: cargo did not start: {error}"))),
        }
    },
};

/// Returns the folder of the environments.
pub(crate) fn folder() -> PathBuf {
    cargo::target().join("clients")
}

/// Makes the environments that are not there, or are of other versions.
pub(crate) fn provide() -> Result<(), Failure> {
    let failed = |message: String| Failure::Failed(format!("clients: {message}"));
    let sets = fs::read_dir(cargo::root().join(FOLDER))
        .map_err(|error| failed(format!("{FOLDER} cannot be read: {error}")))?;
    let mut sets: Vec<PathBuf> = sets
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    sets.sort();
    for set in sets {
        let name = set.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        provide_one(&set, &folder().join(&name)).map_err(|why| failed(format!("{name}: {why}")))?;
    }
    Ok(())
}

fn provide_one(set: &Path, venv: &Path) -> Result<(), String> {
    let wanted = fs::read(set).map_err(|error| error.to_string())?;
    // Written last, so an environment that was cut short is made again.
    let stamp = venv.join("requirements.txt");
    if fs::read(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    println!("installing {} into {}", set.display(), venv.display());
    run(Process::new("python3").args(["-m", "venv", "--clear"]).arg(venv)).map_err(|why| {
        format!("{why}; python3 and its venv module are needed (on Debian: python3-venv)")
    })?;
    let mut pip = Process::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(set);
    run(&mut pip)?;
    fs::write(stamp, wanted).map_err(|error| error.to_string())
}

fn run(process: &mut Process) -> Result<(), String> {
    match process.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{process:?} ended with {status}")),
        Err(error) => Err(format!("{process:?} did not start: {error}")),
    }
}
