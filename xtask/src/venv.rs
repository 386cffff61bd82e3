//! Python virtual environments.

use std::fs;
use std::path::Path;
use std::process::Command as Process;

use crate::process::run;

/// Makes an environment with the packages of a requirements file, if it is missing or outdated.
pub(crate) fn provide(set: &Path, venv: &Path) -> Result<(), String> {
    let wanted = fs::read(set).map_err(|error| error.to_string())?;
    // Written last, so that an interrupted installation is repeated.
    let stamp = venv.join("requirements.txt");
    if fs::read(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    println!("installing {} into {}", set.display(), venv.display());
    make(venv)?;
    let mut pip = Process::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    // Python compiles modules when they are imported; most of a large environment never is.
    pip.args(["--no-compile", "-r"]).arg(set);
    run(&mut pip)?;
    fs::write(stamp, wanted).map_err(|error| error.to_string())
}

/// Makes an empty environment, replacing an existing one.
pub(crate) fn make(venv: &Path) -> Result<(), String> {
    run(Process::new("python3").args(["-m", "venv", "--clear"]).arg(venv)).map_err(|why| {
        format!("{why}; python3 and its venv module are needed (on Debian: python3-venv)")
    })
}
