//! The commands of this repository: `cargo xtask <command>`.
//!
//! It has nearly no dependencies, so that it builds in seconds: `std`, and `serde_json` to parse
//! the output of `cargo metadata`. `cargo xtask` alone lists the commands.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program prints")]

mod bench;
mod board;
mod browser;
mod cargo;
mod ci;
mod clients;
mod crash;
mod demo;
mod hostile;
mod layers;
mod metadata;
mod micro;
mod node;
mod process;
mod python;
mod simulate;
mod venv;

use std::fmt;
use std::process::ExitCode;

/// All commands, in the order of the list.
const COMMANDS: &[Command] = &[
    ci::COMMAND,
    bench::COMMAND,
    board::COMMAND,
    browser::COMMAND,
    clients::COMMAND,
    crash::COMMAND,
    demo::COMMAND,
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
    run: fn(&[String]) -> Result<(), Failure>,
}

/// The reason why a command failed.
#[derive(Debug, PartialEq)]
enum Failure {
    /// Invalid arguments: exit code 2.
    Usage(String),
    /// The command failed: exit code 1.
    Failed(String),
}

/// Checks the result of parsing a command's arguments.
#[cfg(test)]
#[track_caller]
fn check_arguments<T: fmt::Debug + PartialEq>(
    parse: impl Fn(&[String]) -> Result<T, Failure>,
    args: &str,
    expected: Result<T, &str>,
) {
    let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
    assert_eq!(parse(&args), expected.map_err(|text| Failure::Usage(text.to_owned())));
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Failed(message) => f.write_str(message),
        }
    }
}

fn main() -> ExitCode {
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let Err(failure) = dispatch(&args) else { return ExitCode::SUCCESS };
    eprintln!("xtask: {failure}");
    match failure {
        Failure::Usage(_) => ExitCode::from(2),
        Failure::Failed(_) => ExitCode::FAILURE,
    }
}

fn dispatch(args: &[String]) -> Result<(), Failure> {
    let Some((name, rest)) = args.split_first() else {
        print_commands();
        return Ok(());
    };
    if asks_for_help(name) || name == "help" {
        print_commands();
        return Ok(());
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        let message = format!("unknown command `{name}`; `cargo xtask` lists the commands");
        return Err(Failure::Usage(message));
    };
    // Arguments after `--` belong to another program, including `--help`.
    if rest.iter().take_while(|arg| *arg != "--").any(|arg| asks_for_help(arg)) {
        print!("{}", command.help);
        return Ok(());
    }
    (command.run)(rest)
}

fn asks_for_help(arg: &str) -> bool {
    arg == "--help" || arg == "-h"
}

fn print_commands() {
    println!("The commands of this repository: cargo xtask <command> [--help]\n");
    for command in COMMANDS {
        println!("  {:<14}{}", command.name, command.about);
    }
}
