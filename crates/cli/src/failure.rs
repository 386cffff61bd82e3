//! Why a command ended early, and the resulting exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::style;

/// Why a command ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The command line is invalid: exit code 2.
    Usage(String),
    /// The command failed: exit code 1.
    Failed(String),
    /// The command failed and the errors are already reported: exit code 1.
    Told,
    /// Ctrl-C: exit code 130, as in shells.
    Interrupted,
    /// The reader of standard output closed the pipe, as `head` does. Not an error.
    NobodyReads,
}

impl Failure {
    /// Creates a `Failed` with this reason.
    pub(crate) fn failed(reason: impl fmt::Display) -> Self {
        Self::Failed(reason.to_string())
    }

    /// Creates a `Usage` with this reason.
    pub(crate) fn usage(reason: impl fmt::Display) -> Self {
        Self::Usage(reason.to_string())
    }

    /// Creates the failure for an error while writing `what`. A broken pipe is not an error.
    pub(crate) fn writing(what: impl fmt::Display, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::NobodyReads;
        }
        Self::Failed(format!("cannot write {what}: {error}"))
    }

    /// Prints the reason in one line on standard error, if it is not reported yet.
    pub(crate) fn report(&self) {
        match self {
            Self::Usage(reason) | Self::Failed(reason) => style::error(reason),
            Self::Told | Self::Interrupted | Self::NobodyReads => {}
        }
    }

    /// Returns the exit code of the process.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Failed(_) | Self::Told => 1,
            Self::Interrupted => 130,
            Self::NobodyReads => 0,
        })
    }
}
