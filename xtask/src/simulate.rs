//! `cargo xtask simulate`: runs the random schedules and prints their figures.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use lexopt::prelude::*;

use crate::{Command, Failure, cargo};

pub(crate) const COMMAND: Command = Command {
    name: "simulate",
    about: "run the random schedules of client and store, and print their figures",
    help: "\
Runs the simulations that are part of the tests: random schedules of a client with
its spool in simulated time on simulated disks, and of a store; a failure of every
disk call, one by one; nodes that share a log in a simulated bucket; and seeded
bugs, each of which must be found.
Prints the numbers of schedules and faults; the exit code is 1 if a row was lost,
duplicated or out of order.

Usage: cargo xtask simulate [OPTIONS]

Options:
      --schedules N   number of client schedules [default: 10,000]
      --seed N        run only the client schedule that a failure printed
      --log-schedules N
                      number of schedules of the log in a bucket [default: 3,000;
                      nightly: 100,000]
      --log-seed N    run the schedules of the log that a failure printed
  -h, --help          print this
",
    run,
};

/// The prefix of an output line with a figure.
const FIGURE: &str = "figure: ";

fn run(parser: lexopt::Parser) -> Result<(), Failure> {
    Ok(simulate(parse(parser)?)?)
}

fn simulate(variables: Vec<(&str, String)>) -> Result<(), String> {
    let mut command = cargo::command();
    // Reuse the build of the tests; with fewer packages, features differ and everything is rebuilt.
    command.args(["nextest", "run", "--workspace", "--all-features", "--no-capture"]);
    command.args(["-E", "test(/^simulation::/) + test(/^schedules::/)"]);
    command.current_dir(cargo::root()).envs(variables).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("no cargo: {error}"))?;
    let mut figures = Vec::new();
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            match line.split_once(FIGURE) {
                Some((_, figure)) => figures.push(figure.to_owned()),
                None => eprintln!("{line}"),
            }
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    eprintln!();
    figures.iter().for_each(|figure| println!("{figure}"));
    if status.success() { Ok(()) } else { Err(format!("the tests ended with {status}")) }
}

/// Parses the arguments to environment variables for the tests.
fn parse(mut parser: lexopt::Parser) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut variables = Vec::new();
    while let Some(arg) = parser.next()? {
        let variable = match arg {
            Long("schedules") => "STREAMTABLE_SCHEDULES",
            Long("seed") => "STREAMTABLE_SEED",
            Long("log-schedules") => "STREAMTABLE_LOG_SCHEDULES",
            Long("log-seed") => "STREAMTABLE_LOG_SEED",
            _ => return Err(arg.unexpected().into()),
        };
        let number: u64 = parser.value()?.parse()?;
        variables.push((variable, number.to_string()));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(args: &str, expected: Result<&[(&'static str, &str)], &str>) {
        let own = |pairs: &[(&'static str, &str)]| {
            pairs.iter().map(|&(name, value)| (name, value.to_owned())).collect()
        };
        crate::check_arguments(parse, args, expected.map(own));
    }

    #[test]
    fn arguments() {
        check("", Ok(&[]));
        check("--seed 7", Ok(&[("STREAMTABLE_SEED", "7")]));
        check("--schedules 10", Ok(&[("STREAMTABLE_SCHEDULES", "10")]));
        check("--log-schedules 10", Ok(&[("STREAMTABLE_LOG_SCHEDULES", "10")]));
        check("--log-seed 7", Ok(&[("STREAMTABLE_LOG_SEED", "7")]));
        check("--schedules", Err("missing argument for option '--schedules'"));
        let message = "cannot parse argument \"x\": invalid digit found in string";
        check("--seed x", Err(message));
        check("--fast", Err("invalid option '--fast'"));
    }
}
