//! Runs cargo from xtask.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Returns a command for the cargo that runs xtask, without the environment that it set for xtask.
pub(crate) fn command() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_xtask(&mut cargo);
    cargo
}

/// Removes the variables that cargo set for xtask from a process's environment.
pub(crate) fn forget_xtask(process: &mut Command) {
    // `cargo run` sets these to describe xtask. Build scripts that watch them (ring's does) would
    // otherwise run again at each switch between `cargo xtask` and plain `cargo`.
    for (name, _) in env::vars_os() {
        if is_about_xtask(&name.to_string_lossy()) {
            process.env_remove(name);
        }
    }
}

/// Returns the folder of the workspace's manifest.
pub(crate) fn root() -> PathBuf {
    // The environment takes precedence over the compiled path: the checkout may have moved since
    // the build.
    let mut folder = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    folder.pop();
    folder
}

fn is_about_xtask(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_")
}

/// Returns cargo's target folder.
pub(crate) fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target.map_or_else(|| root().join("target"), PathBuf::from)
}

/// Runs a build, and returns cargo's JSON messages. Human-readable output is passed on.
pub(crate) fn build(args: &[&str]) -> Result<String, String> {
    let mut build = command();
    build.arg("build").args(args).arg("--message-format=json-render-diagnostics");
    build.current_dir(root()).stderr(Stdio::inherit());
    let output = build.output().map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err("the build failed".to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the path of a program from cargo's messages.
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
