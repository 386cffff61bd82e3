//! `cargo xtask clients`: tests the real Python clients with the server.
//!
//! Each set of versions is a requirements file next to the programs that use it, and has its own
//! virtual environment in the target folder.

use std::fs;
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

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
    run: |args| {
        let is_nightly = parse(args)?;
        let arguments = if is_nightly { TOOLS } else { TESTS };
        provide()?;
        if is_nightly {
            provide_tools()?;
        }
        let mut tests = cargo::command();
        tests.args(arguments.split_whitespace()).env(VARIABLE, folder()).current_dir(cargo::root());
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

/// Returns whether the tools are tested instead of the clients.
fn parse(args: &[String]) -> Result<bool, Failure> {
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(false),
        ["--nightly"] => Ok(true),
        ["--nightly", arg, ..] | [arg, ..] => {
            Err(Failure::Usage(format!("clients: unknown argument `{arg}`")))
        }
    }
}

/// Makes the environments of tools that are missing or outdated.
fn provide_tools() -> Result<(), Failure> {
    let tools = cargo::root().join(FOLDER).join(NIGHTLY);
    let failed = |why: String| Failure::Failed(format!("clients: {why}"));
    provide_torch().map_err(failed)?;
    let system = venv::Python { program: SYSTEM_PYTHON, with_its_packages: true };
    venv::provide_with(&system, &tools.join("trainers.txt"), &folder().join("trainers"))
        .and_then(|()| venv::provide(&tools.join("keras.txt"), &folder().join("keras")))
        .map_err(failed)
}

/// Installs torch for the system's Python, if it is missing and this is root on Debian.
fn provide_torch() -> Result<(), String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        crate::check_arguments(parse, "", Ok(false));
        crate::check_arguments(parse, "--nightly", Ok(true));
        for (args, unknown) in [("--all", "--all"), ("--nightly --all", "--all")] {
            let message = format!("clients: unknown argument `{unknown}`");
            crate::check_arguments(parse, args, Err(&message));
        }
    }
}
