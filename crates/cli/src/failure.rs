//! Why a command ended early, and what the shell hears of it.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::style;

/// Why a command ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// What was asked for makes no sense: code 2.
    Usage(String),
    /// What was asked for could not be done: code 1.
    Failed(String),
    /// The same, and it was told already: code 1.
    Told,
    /// Ctrl-C: code 130, as shells have it.
    Interrupted,
    /// Whoever read the output wants no more, such as `head`: that is no error.
    NobodyReads,
}

impl Failure {
    /// Makes the ordinary one of what went wrong.
    pub(crate) fn failed(reason: impl fmt::Display) -> Self {
        Self::Failed(reason.to_string())
    }

    /// Makes one of what is wrong with the command line.
    pub(crate) fn usage(reason: impl fmt::Display) -> Self {
        Self::Usage(reason.to_string())
    }

    /// Makes one of what an output said.
    pub(crate) fn writing(what: impl fmt::Display, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::NobodyReads;
        }
        Self::Failed(format!("cannot write {what}: {error}"))
    }

    /// Tells it in one line on standard error, where there is something to tell.
    pub(crate) fn report(&self) {
        match self {
            Self::Usage(reason) | Self::Failed(reason) => style::error(reason),
            Self::Told | Self::Interrupted | Self::NobodyReads => {}
        }
    }

    /// Returns what the shell hears.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Failed(_) | Self::Told => 1,
            Self::Interrupted => 130,
            Self::NobodyReads => 0,
        })
    }
}
