//! The commands of this repository: `cargo xtask <command>`.
//!
//! It has nearly no dependencies, so that it builds in seconds: `lexopt` to parse the arguments, and
//! `serde_json` to parse the output of `cargo metadata`. `cargo xtask` alone lists the commands.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program prints")]

mod bench;
mod board;
mod browser;
mod cargo;
mod ci;
mod clients;
mod crash;
mod demo;
mod evcxr;
mod hostile;
mod layers;
mod metadata;
mod micro;
mod node;
mod process;
mod python;
mod simulate;
mod venv;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::iter;
use std::process::ExitCode;

use lexopt::{Parser, ValueExt};

/// All commands, in the order of the list.
const COMMANDS: &[Command] = &[
    ci::COMMAND,
    bench::COMMAND,
    board::COMMAND,
    browser::COMMAND,
    clients::COMMAND,
    crash::COMMAND,
    demo::COMMAND,
    evcxr::COMMAND,
    python::DIST,
    hostile::COMMAND,
    layers::COMMAND,
    python::COMMAND,
    simulate::COMMAND,
];

/// One command of `cargo xtask`.
struct Command {
    name: &'static str,
    /// A one-line summary for the list of commands.
    about: &'static str,
    /// The output of `--help`, with a final line break.
    help: &'static str,
    /// Called with the arguments after the command's name.
    run: fn(Parser) -> Result<(), Failure>,
}

/// The reason why a command failed.
#[derive(Debug, PartialEq)]
enum Failure {
    /// Invalid arguments: exit code 2.
    Usage(String),
    /// The command failed: exit code 1.
    Failed(String),
}

impl Failure {
    /// Puts the command's name in front, and how to get its help behind a usage error.
    fn of(self, command: &str) -> Self {
        match self {
            Self::Usage(why) => {
                Self::Usage(format!("{command}: {why}; see `cargo xtask {command} --help`"))
            }
            Self::Failed(why) => Self::Failed(format!("{command}: {why}")),
        }
    }
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Returns the arguments for another program: the first one after `--`, and all that follow.
fn rest(first: OsString, parser: &mut Parser) -> Result<Vec<String>, Failure> {
    let all = iter::once(first).chain(parser.raw_args()?);
    Ok(all.map(ValueExt::string).collect::<Result<_, _>>()?)
}

/// Checks the result of parsing a command's arguments.
#[cfg(test)]
#[track_caller]
fn check_arguments<T: fmt::Debug + PartialEq>(
    parse: impl Fn(Parser) -> Result<T, Failure>,
    args: &str,
    expected: Result<T, &str>,
) {
    let parsed = parse(Parser::from_args(args.split_whitespace()));
    assert_eq!(parsed, expected.map_err(|text| Failure::Usage(text.to_owned())), "{args}");
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Failed(message) => f.write_str(message),
        }
    }
}

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Err(failure) = dispatch(&args) else { return ExitCode::SUCCESS };
    eprintln!("xtask: {failure}");
    match failure {
        Failure::Usage(_) => ExitCode::from(2),
        Failure::Failed(_) => ExitCode::FAILURE,
    }
}

fn dispatch(args: &[OsString]) -> Result<(), Failure> {
    let Some((name, rest)) = args.split_first() else {
        print_commands();
        return Ok(());
    };
    if asks_for_help(name) || name == "help" {
        print_commands();
        return Ok(());
    }
    let Some(command) = COMMANDS.iter().find(|command| name == command.name) else {
        let name = name.display();
        let message = format!("unknown command `{name}`; `cargo xtask` lists the commands");
        return Err(Failure::Usage(message));
    };
    // Arguments after `--` belong to another program, including `--help`.
    if rest.iter().take_while(|arg| *arg != "--").any(|arg| asks_for_help(arg)) {
        print!("{}", command.help);
        return Ok(());
    }
    (command.run)(Parser::from_args(rest)).map_err(|failure| failure.of(command.name))
}

fn asks_for_help(arg: &OsStr) -> bool {
    arg == "--help" || arg == "-h"
}

fn print_commands() {
    println!("The commands of this repository: cargo xtask <command> [--help]\n");
    for command in COMMANDS {
        println!("  {:<14}{}", command.name, command.about);
    }
}
