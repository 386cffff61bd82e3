//! Runs Node for the board's page and its tests.

use std::fs;
use std::path::Path;
use std::process::Command as Process;

use crate::process::run;

/// Installs a folder's packages from its lock file, if they are missing or outdated.
pub(crate) fn provide_packages(folder: &Path) -> Result<(), String> {
    let lock = fs::read(folder.join("package-lock.json")).map_err(|error| error.to_string())?;
    // Written last, so that an interrupted installation is repeated.
    let stamp = folder.join("node_modules/.installed-lock.json");
    if fs::read(&stamp).is_ok_and(|there| there == lock) {
        return Ok(());
    }
    println!("installing the npm packages of {}", folder.display());
    let mut npm = Process::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder);
    run(&mut npm).map_err(|why| format!("{why}; Node 20 or newer with npm is needed"))?;
    fs::write(stamp, lock).map_err(|error| error.to_string())
}
