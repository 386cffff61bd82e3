//! `cargo xtask clients`: tests the real Python clients with the server.
//!
//! Each set of versions is a requirements file next to the programs that use it, and has its own
//! virtual environment in the target folder.

use std::fs;
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

use lexopt::prelude::*;

use crate::{Command, Failure, cargo, process, venv};

/// The folder of the requirements files and the programs.
const FOLDER: &str = "crates/server/tests/clients";

/// The environment variable with the environments' folder, for the tests.
pub(crate) const VARIABLE: &str = "STREAMTABLE_CLIENTS";

/// The folder of the requirements files of tools, below [`FOLDER`].
const NIGHTLY: &str = "nightly";

/// The cargo arguments that run the tests of the clients.
pub(crate) const TESTS: &str = "nextest run --workspace --all-features --no-fail-fast --run-ignored only -E test(/^clients::/)-test(/^clients::nightly::/)-test(/wandb_0_(19|22)_cases/)";

/// The cargo arguments that run the tests of the tools, and the cases of older clients, which take
/// minutes.
const TOOLS: &str = "nextest run --workspace --all-features --no-fail-fast --run-ignored only -E test(/^clients::nightly::/)+test(/wandb_0_(19|22)_cases/)";

/// The system's Python, which finds the system's torch.
const SYSTEM_PYTHON: &str = "/usr/bin/python3";

/// The interpreter of environments with the system's torch.
pub(crate) const SYSTEM: venv::Python<'_> =
    venv::Python { program: SYSTEM_PYTHON, with_its_packages: true };

pub(crate) const COMMAND: Command = Command {
    name: "clients",
    about: "test the real Python clients with the server",
    help: "\
Tests the real weave and wandb clients with the server.

Makes the missing virtual environments in target/clients, one for each set of
versions in crates/server/tests/clients, and runs the tests that use them.

Usage: cargo xtask clients [OPTIONS]

Options:
      --nightly  instead, test tools that log to W&B: accelerate, transformers,
                 xgboost, lightgbm, scikit-learn, Keras; their environments take
                 about 2 GiB, and python3-torch of Debian 12 0.6 GiB. Also runs
                 the cases of the public API with older clients
  -h, --help     print this

Needs python3 with its venv module; pip installs the rest. For root on Debian,
--nightly installs python3-torch if it is missing.
",
    run: |parser| Ok(test(parse(parser)?)?),
};

/// Returns the folder of the environments.
pub(crate) fn folder() -> PathBuf {
    cargo::target().join("clients")
}

/// Returns whether the tools are tested instead of the clients.
fn parse(mut parser: lexopt::Parser) -> Result<bool, Failure> {
    let mut is_nightly = false;
    while let Some(arg) = parser.next()? {
        match arg {
            Long("nightly") => is_nightly = true,
            _ => return Err(arg.unexpected().into()),
        }
    }
    Ok(is_nightly)
}

fn test(is_nightly: bool) -> Result<(), String> {
    let arguments = if is_nightly { TOOLS } else { TESTS };
    provide()?;
    if is_nightly {
        provide_tools()?;
    }
    let mut tests = cargo::command();
    tests.args(arguments.split_whitespace()).env(VARIABLE, folder()).current_dir(cargo::root());
    match tests.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the tests ended with {status}")),
        Err(error) => Err(format!("cannot start cargo: {error}")),
    }
}

/// Makes the environments of tools that are missing or outdated.
fn provide_tools() -> Result<(), String> {
    let tools = cargo::root().join(FOLDER).join(NIGHTLY);
    provide_torch()?;
    venv::provide_with(&SYSTEM, &tools.join("trainers.txt"), &folder().join("trainers"))
        .and_then(|()| venv::provide(&tools.join("keras.txt"), &folder().join("keras")))
}

/// Installs torch for the system's Python, if it is missing and this is root on Debian.
pub(crate) fn provide_torch() -> Result<(), String> {
    let has_torch = || {
        let mut import = Process::new(SYSTEM_PYTHON);
        import.args(["-c", "import torch"]).stdout(Stdio::null()).stderr(Stdio::null());
        import.status().is_ok_and(|status| status.success())
    };
    if has_torch() {
        return Ok(());
    }
    println!("installing python3-torch with apt-get");
    let mut install = Process::new("apt-get");
    install.args(["-qq", "install", "--yes", "--no-install-recommends", "python3-torch"]);
    install.arg("python3-venv").env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
    process::run(&mut install).map_err(|why| {
        format!("{why}; torch is needed for {SYSTEM_PYTHON}: run `apt-get install python3-torch` as root")
    })
}

/// Makes the environments that are missing or outdated.
pub(crate) fn provide() -> Result<(), String> {
    let sets = fs::read_dir(cargo::root().join(FOLDER))
        .map_err(|error| format!("cannot read {FOLDER}: {error}"))?;
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
pub(crate) fn provide_one(name: &str) -> Result<(), String> {
    let set = cargo::root().join(FOLDER).join(format!("{name}.txt"));
    venv::provide(&set, &folder().join(name)).map_err(|why| format!("{name}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        crate::check_arguments(parse, "", Ok(false));
        crate::check_arguments(parse, "--nightly", Ok(true));
        for args in ["--all", "--nightly --all"] {
            crate::check_arguments(parse, args, Err("invalid option '--all'"));
        }
    }
}
