//! Python virtual environments.

use std::fs;
use std::path::Path;
use std::process::Command as Process;

use crate::process::run;

/// The interpreter of an environment.
pub(crate) struct Python<'a> {
    pub(crate) program: &'a str,
    /// Whether the environment also has the interpreter's own packages.
    pub(crate) with_its_packages: bool,
}

/// The usual interpreter, with an empty environment.
const USUAL: Python<'_> = Python { program: "python3", with_its_packages: false };

/// Makes an environment with the packages of a requirements file, if it is missing or outdated.
pub(crate) fn provide(set: &Path, venv: &Path) -> Result<(), String> {
    provide_with(&USUAL, set, venv)
}

/// Makes an environment of an interpreter, if it is missing or outdated.
pub(crate) fn provide_with(python: &Python<'_>, set: &Path, venv: &Path) -> Result<(), String> {
    let wanted = fs::read(set).map_err(|error| error.to_string())?;
    // Written last, so that an interrupted installation is repeated.
    let stamp = venv.join("requirements.txt");
    if fs::read(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    println!("installing {} into {}", set.display(), venv.display());
    make_with(python, venv)?;
    let mut pip = Process::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    // Python compiles modules when they are imported; most of a large environment never is.
    pip.args(["--no-compile", "-r"]).arg(set);
    run(&mut pip)?;
    fs::write(stamp, wanted).map_err(|error| error.to_string())
}

/// Makes an empty environment, replacing an existing one.
pub(crate) fn make(venv: &Path) -> Result<(), String> {
    make_with(&USUAL, venv)
}

fn make_with(python: &Python<'_>, venv: &Path) -> Result<(), String> {
    let mut process = Process::new(python.program);
    process.args(["-m", "venv", "--clear"]);
    if python.with_its_packages {
        process.arg("--system-site-packages");
    }
    run(process.arg(venv)).map_err(|why| {
        format!("{why}; python3 and its venv module are needed (on Debian: python3-venv)")
    })
}
