//! How xtask calls cargo.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// A call of the cargo that runs xtask, without what that cargo said about xtask itself.
pub(crate) fn command() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_xtask(&mut cargo);
    cargo
}

/// Takes from a process that may call cargo what cargo said about xtask.
pub(crate) fn forget_xtask(process: &mut Command) {
    // `cargo run` describes xtask to xtask in these; build scripts that watch them (ring's does)
    // would otherwise run again at each change between `cargo xtask` and plain `cargo`.
    for (name, _) in env::vars_os() {
        if is_about_xtask(&name.to_string_lossy()) {
            process.env_remove(name);
        }
    }
}

/// The folder of the workspace's manifest.
pub(crate) fn root() -> PathBuf {
    // What cargo says now comes first: a checkout may have moved since it was built.
    let mut folder = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    folder.pop();
    folder
}

fn is_about_xtask(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_")
}

/// Returns the folder in which cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target.map_or_else(|| root().join("target"), PathBuf::from)
}

/// Builds something, and returns cargo's messages about it. What it says to people is passed on.
pub(crate) fn build(args: &[&str]) -> Result<String, String> {
    let mut build = command();
    build.arg("build").args(args).arg("--message-format=json-render-diagnostics");
    build.current_dir(root()).stderr(Stdio::inherit());
    let output = build.output().map_err(|error| format!("cargo did not start: {error}"))?;
    if !output.status.success() {
        return Err("it could not be built".to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Finds where cargo says that it has put a program.
pub(crate) fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}
not JSON
{"reason":"compiler-artifact","target":{"name":"crash"},"executable":"/t/examples/crash"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "crash"), Some(PathBuf::from("/t/examples/crash")));
        assert_eq!(executable(messages, "serde"), None);
        assert_eq!(executable(messages, "streamtable"), None);
    }
}
