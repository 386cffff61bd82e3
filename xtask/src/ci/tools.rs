//! The tools that steps need beyond cargo itself.

use std::process::Stdio;

use super::steps::Step;
use crate::{Failure, cargo};

pub(super) const NEXTEST: Tool =
    Tool { name: "cargo-nextest", command: "nextest", source: Source::Registry };
pub(super) const RUSTFMT: Tool =
    Tool { name: "rustfmt", command: "fmt", source: Source::Component };
pub(super) const CLIPPY: Tool =
    Tool { name: "clippy", command: "clippy", source: Source::Component };

/// A tool that cargo calls by a command of its own.
#[derive(PartialEq)]
pub(super) struct Tool {
    name: &'static str,
    /// `cargo <command> --version` succeeds where the tool is there.
    command: &'static str,
    source: Source,
}

/// Where a missing tool comes from.
#[derive(PartialEq)]
enum Source {
    /// `cargo install`: done here.
    Registry,
    /// `rustup component add`: left to the caller, who may not use rustup at all.
    Component,
}

/// The tools that `steps` need, each once.
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
    /// Makes sure that the tool is there, or says in one line how to get it.
    pub(super) fn provide(&self) -> Result<(), Failure> {
        if self.is_there() {
            return Ok(());
        }
        let Self { name, .. } = self;
        match self.source {
            Source::Component => {
                Err(Failure::Failed(format!("{name} is missing: `rustup component add {name}`")))
            }
            Source::Registry => {
                println!("{name} is missing: `cargo install {name} --locked` installs it now");
                let installed = cargo::command().args(["install", name, "--locked"]).status();
                match installed {
                    Ok(status) if status.success() && self.is_there() => Ok(()),
                    _ => Err(Failure::Failed(format!("{name} is missing and did not install"))),
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
