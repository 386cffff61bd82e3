//! `cargo xtask simulate`: the figures of the random schedules.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::{Command, Failure, cargo};

pub(crate) const COMMAND: Command = Command {
    name: "simulate",
    about: "run the random schedules of client and store, and print their figures",
    help: "\
Runs what is in every test run, too: random schedules of a client with its spool
in simulated time on simulated disks, and of a store; every call to the disk made
to fail, one by one; and bugs that are seeded, of which each must be found.
Prints how many schedules and faults there were, and ends with exit code 1 if a
row was lost, doubled or out of its order.

Usage: cargo xtask simulate [OPTIONS]

Options:
      --schedules N   so many schedules of the client, instead of 10,000
      --seed N        this schedule of the client alone, as a failure names it
  -h, --help          print this
",
    run,
};

/// How a test begins a line that is a figure.
const FIGURE: &str = "figure: ";

fn run(args: &[String]) -> Result<(), Failure> {
    let variables = parse(args)?;
    let failed = |reason: String| Failure::Failed(format!("simulate: {reason}"));
    let mut command = cargo::command();
    // What the tests' build has made; with fewer packages, features differ and all is built anew.
    command.args(["nextest", "run", "--workspace", "--all-features", "--no-capture"]);
    command.args(["-E", "test(/^simulation::/) + test(/^schedules::/)"]);
    command.current_dir(cargo::root()).envs(variables).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(format!("no cargo: {error}")))?;
    let mut figures = Vec::new();
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            match line.split_once(FIGURE) {
                Some((_, figure)) => figures.push(figure.to_owned()),
                None => eprintln!("{line}"),
            }
        }
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    eprintln!();
    figures.iter().for_each(|figure| println!("{figure}"));
    if status.success() { Ok(()) } else { Err(failed(format!("the tests ended with {status}"))) }
}

/// Returns what the tests are told by their environment.
fn parse(args: &[String]) -> Result<Vec<(&'static str, String)>, Failure> {
    let usage = |message: String| Failure::Usage(format!("simulate: {message}"));
    let mut variables = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let variable = match arg.as_str() {
            "--schedules" => "STREAMTABLE_SCHEDULES",
            "--seed" => "STREAMTABLE_SEED",
            _ => return Err(usage(format!("takes no `{arg}`; `cargo xtask simulate --help`"))),
        };
        let number = args.next().filter(|number| number.parse::<u64>().is_ok());
        let number = number.ok_or_else(|| usage(format!("`{arg}` needs a number")))?;
        variables.push((variable, number.clone()));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(args: &str, expected: Result<&[(&'static str, &str)], &str>) {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        let own = |pairs: &[(&'static str, &str)]| {
            pairs.iter().map(|&(name, value)| (name, value.to_owned())).collect()
        };
        let failure = |message: &str| Failure::Usage(format!("simulate: {message}"));
        assert_eq!(parse(&args), expected.map(own).map_err(failure));
    }

    #[test]
    fn arguments() {
        check("", Ok(&[]));
        check("--seed 7", Ok(&[("STREAMTABLE_SEED", "7")]));
        check("--schedules 10", Ok(&[("STREAMTABLE_SCHEDULES", "10")]));
        check("--schedules", Err("`--schedules` needs a number"));
        check("--seed x", Err("`--seed` needs a number"));
        check("--fast", Err("takes no `--fast`; `cargo xtask simulate --help`"));
    }
}
