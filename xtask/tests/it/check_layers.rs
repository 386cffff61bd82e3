//! Tests that a forbidden dependency, added to a copy of this workspace, is reported.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::{root, xtask};

#[test]
fn the_workspace_has_no_violations() {
    let copy = copy_of_workspace("as-drawn");
    let output = check_layers(&copy);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).ends_with("no violations\n"), "{}", stdout(&output));
}

#[test]
fn an_edge_to_a_crate_that_knows_tls() {
    check(
        "url",
        "dependencies",
        "streamtable-transport-hyper",
        &[
            "streamtable-url → streamtable-transport-hyper: a dependency must go strictly down, this one goes protocol → protocol",
            "streamtable-url → streamtable-transport-hyper → hyper",
        ],
    );
}

#[test]
fn an_upward_edge_that_closes_a_cycle() {
    check(
        "wire",
        "dependencies",
        "streamtable",
        &[
            "streamtable-wire → streamtable: a dependency must go strictly down, this one goes protocol → features",
            "xtask: check-layers: cargo metadata failed",
        ],
    );
}

#[test]
fn a_sideways_edge() {
    check(
        "digits",
        "dependencies",
        "streamtable-mock-backend",
        &[
            "streamtable-digits → streamtable-mock-backend: a dependency must go strictly down, this one goes features → features",
        ],
    );
}

#[test]
fn an_upward_edge_of_the_tests() {
    check(
        "schema",
        "dev-dependencies",
        "streamtable-mock-backend",
        &[
            "streamtable-schema → streamtable-mock-backend (dev): a dependency must go strictly down, this one goes vocabulary → features",
        ],
    );
}

#[test]
fn a_crate_without_a_layer() {
    let copy = copy_of_workspace("placeless");
    copy_manifests_and_sources(&copy.join("crates/wire"), &copy.join("crates/wires"));
    replace(&copy.join("crates/wires/Cargo.toml"), "\"streamtable-wire\"", "\"streamtable-wires\"");
    replace(&copy.join("Cargo.toml"), "members = [", "members = [\"crates/wires\", ");
    let output = check_layers(&copy);
    assert_eq!(output.status.code(), Some(1));
    let line = "streamtable-wires: is not in LAYERS of xtask/src/layers.rs\n";
    assert!(stderr(&output).starts_with(line), "{}", stderr(&output));
}

/// Adds the dependency to the crate in `crates/<folder>` of a copy, and checks that each expected
/// line starts a line of the output of `check-layers`.
#[track_caller]
fn check(folder: &str, section: &str, dependency: &str, expected: &[&str]) {
    let copy = copy_of_workspace(&format!("{folder}-{dependency}"));
    let manifest = copy.join("crates").join(folder).join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, format!("{text}\n[{section}.{dependency}]\nworkspace = true\n")).unwrap();
    let output = check_layers(&copy);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    for line in expected {
        let found = stderr(&output).lines().any(|printed| printed.starts_with(line));
        assert!(found, "no line `{line}` in:\n{}", stderr(&output));
    }
}

fn check_layers(copy: &Path) -> Output {
    let manifest = copy.join("Cargo.toml");
    xtask(&["check-layers", "--offline", "--manifest-path", manifest.to_str().unwrap()])
}

/// Copies the files that `cargo metadata` reads, the manifests and their sources, to a new folder.
fn copy_of_workspace(name: &str) -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if copy.exists() {
        fs::remove_dir_all(&copy).unwrap();
    }
    copy_manifests_and_sources(root(), &copy);
    // The check reads the manifests of every platform's dependencies; a build needs only this
    // platform's.
    let fetch = Command::new(env!("CARGO"))
        .args(["fetch", "--quiet", "--manifest-path"])
        .arg(copy.join("Cargo.toml"))
        .status();
    assert!(fetch.unwrap().success());
    copy
}

fn copy_manifests_and_sources(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            let is_built = name == "target" || name == "node_modules";
            if !is_built && !name.to_string_lossy().starts_with('.') {
                copy_manifests_and_sources(&path, &to.join(name));
            }
        } else if name == "Cargo.toml"
            || name == "Cargo.lock"
            || path.extension() == Some(OsStr::new("rs"))
        {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn replace(file: &Path, old: &str, new: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(old), "{} has no {old}", file.display());
    fs::write(file, text.replace(old, new)).unwrap();
}

fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}
