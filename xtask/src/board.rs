//! `cargo xtask board`: builds the board's web page.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use lexopt::prelude::*;

use crate::{Command, Failure, cargo, node, process};

/// The folder of the page's sources.
const SOURCES: &str = "crates/board/web";

/// The folder of the built files, which the crate embeds.
const BUILT: &str = "crates/board/dist";

pub(crate) const COMMAND: Command = Command {
    name: "board",
    about: "build the board's page into crates/board/dist",
    help: "\
Builds the board's page from crates/board/web into crates/board/dist. The built files
are checked in, so building the server does not need this command.

Installs the packages of the lock file, fetches Perspective's viewer (pinned by its
hash), checks the types, runs the page's tests and bundles it. The build is
reproducible.

Usage: cargo xtask board [OPTIONS]

Options:
      --check   build, and compare with crates/board/dist instead of writing it
  -h, --help    print this

Needs Node 20 with npm, and python3 with pip.
",
    run: |parser| Ok(build(parse(parser)?)?),
};

/// What to do with the built files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Check,
}

fn parse(mut parser: lexopt::Parser) -> Result<Mode, Failure> {
    let mut mode = Mode::Write;
    while let Some(arg) = parser.next()? {
        match arg {
            Long("check") => mode = Mode::Check,
            _ => return Err(arg.unexpected().into()),
        }
    }
    Ok(mode)
}

/// Builds the page.
pub(crate) fn build(mode: Mode) -> Result<(), String> {
    let sources = cargo::root().join(SOURCES);
    node::provide_packages(&sources)?;
    let viewer = provide_viewer(&sources)?;
    for script in ["check", "test"] {
        process::run(Process::new("npm").args(["run", "--silent", script]).current_dir(&sources))?;
    }
    let mut script = Process::new("node");
    script.arg("build/build.mjs").arg(viewer).arg(cargo::root().join(BUILT)).current_dir(&sources);
    if mode == Mode::Check {
        script.arg("--check");
    }
    process::run(&mut script)
}

/// Downloads and unpacks the viewer if it is missing, and returns its folder.
fn provide_viewer(sources: &Path) -> Result<PathBuf, String> {
    let requirement = sources.join("perspective.txt");
    let wanted = fs::read(&requirement).map_err(|error| error.to_string())?;
    let folder = cargo::target().join("board");
    let unpacked = folder.join("viewer");
    let stamp = folder.join("perspective.txt");
    if fs::read(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(unpacked);
    }
    println!("fetching {}", requirement.display());
    let _ = fs::remove_dir_all(&folder);
    let mut pip = Process::new("python3");
    // Always the same wheel, whatever the platform, because the hash is that of one wheel.
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary=:all:", "--platform=manylinux_2_28_x86_64", "--python-version=3.11"])
        .args(["--implementation=cp", "--abi=abi3", "--require-hashes", "--dest"])
        .arg(&folder)
        .arg("-r")
        .arg(&requirement);
    process::run(&mut pip)?;
    let mut wheels = fs::read_dir(&folder).map_err(|error| error.to_string())?;
    let wheel = wheels.next().and_then(Result::ok).ok_or("pip downloaded nothing")?.path();
    process::run(Process::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(&unpacked))?;
    fs::write(stamp, wanted).map_err(|error| error.to_string())?;
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        crate::check_arguments(parse, "", Ok(Mode::Write));
        crate::check_arguments(parse, "--check", Ok(Mode::Check));
        crate::check_arguments(parse, "--check --fast", Err("invalid option '--fast'"));
        crate::check_arguments(parse, "dist", Err("unexpected argument \"dist\""));
    }
}
