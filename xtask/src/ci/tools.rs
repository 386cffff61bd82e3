//! The tools that the steps need in addition to cargo.

use std::process::Stdio;

use super::steps::Step;
use crate::cargo;

pub(super) const NEXTEST: Tool =
    Tool { name: "cargo-nextest", command: "nextest", source: Source::Registry };
pub(super) const RUSTFMT: Tool =
    Tool { name: "rustfmt", command: "fmt", source: Source::Component };
pub(super) const CLIPPY: Tool =
    Tool { name: "clippy", command: "clippy", source: Source::Component };

/// A cargo subcommand.
#[derive(PartialEq)]
pub(super) struct Tool {
    name: &'static str,
    /// `cargo <command> --version` succeeds if the tool is installed.
    command: &'static str,
    source: Source,
}

/// How to install a missing tool.
#[derive(PartialEq)]
enum Source {
    /// By `cargo install`, which xtask runs.
    Registry,
    /// By `rustup component add`, which the user runs, because not everyone uses rustup.
    Component,
}

/// Returns the tools that `steps` need, without duplicates.
pub(super) fn of(steps: &[&Step]) -> Vec<&'static Tool> {
    let mut tools = Vec::new();
    for tool in steps.iter().filter_map(|step| step.needs) {
        if !tools.contains(&tool) {
            tools.push(tool);
        }
    }
    tools
}

impl Tool {
    /// Installs the tool if it is missing, or returns an error with the command to install it.
    pub(super) fn provide(&self) -> Result<(), String> {
        if self.is_there() {
            return Ok(());
        }
        let Self { name, .. } = self;
        match self.source {
            Source::Component => {
                Err(format!("{name} is missing: run `rustup component add {name}`"))
            }
            Source::Registry => {
                println!("{name} is missing: running `cargo install {name} --locked`");
                let installed = cargo::command().args(["install", name, "--locked"]).status();
                match installed {
                    Ok(status) if status.success() && self.is_there() => Ok(()),
                    _ => Err(format!("{name} is missing and could not be installed")),
                }
            }
        }
    }

    fn is_there(&self) -> bool {
        let mut probe = cargo::command();
        probe.args([self.command, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    }
}
