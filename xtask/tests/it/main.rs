//! Tests xtask through its command line.

#![expect(clippy::unwrap_used, reason = "a test helper may panic")]

mod check_layers;
mod command_line;

use std::path::Path;
use std::process::{Command, Output};

/// Runs `cargo xtask` with `args`, outside the workspace's folder.
fn xtask(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(args).current_dir(env!("CARGO_TARGET_TMPDIR")).output().unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
