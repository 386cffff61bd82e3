//! `streamtable completions`: completion scripts for shells.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  streamtable completions bash > ~/.local/share/bash-completion/completions/streamtable
  streamtable completions zsh > ~/.zfunc/_streamtable
  streamtable completions fish > ~/.config/fish/completions/streamtable.fish";

/// Print the completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Prints the script.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "streamtable", &mut script);
        let mut out = Output::open(None)?;
        out.put(&script)?;
        out.finish()
    }
}
