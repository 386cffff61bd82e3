//! `cargo xtask ci`: all checks, the same in CI and for contributors.

mod report;
mod steps;
mod tools;

use std::time::Instant;

use self::report::{Outcome, Report};
use self::steps::{STEPS, Step};
use crate::metadata::{Query, Workspace};
use crate::{Command, Failure};

pub(crate) const COMMAND: Command = Command {
    name: "ci",
    about: "run every check that a change must pass",
    help: "\
Runs every check that a change must pass, in order, also after one has failed.
Ends with a table of the steps and their times.

Usage: cargo xtask ci [OPTIONS]

Options:
      --only STEP[,STEP]...   run only these steps, in their usual order
      --list                  print the steps and what they check
  -h, --help                  print this

cargo-nextest is installed with cargo if it is missing.
",
    run,
};

/// The parsed arguments.
#[derive(Debug, PartialEq)]
enum Request {
    List,
    /// Names of steps, in the order of [`STEPS`].
    Run(Vec<&'static str>),
}

fn run(args: &[String]) -> Result<(), Failure> {
    match parse(args)? {
        Request::List => {
            for step in STEPS {
                println!("{:<14}{}", step.name, step.about);
            }
            Ok(())
        }
        Request::Run(names) => {
            let steps: Vec<&Step> =
                STEPS.iter().filter(|step| names.contains(&step.name)).collect();
            run_steps(&steps)
        }
    }
}

fn parse(args: &[String]) -> Result<Request, Failure> {
    let usage = |message: String| Failure::Usage(format!("ci: {message}"));
    let mut only: Option<Vec<&str>> = None;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let names = match arg.as_str() {
            "--list" => return Ok(Request::List),
            "--only" => args.next().map_or("", String::as_str),
            _ => arg.strip_prefix("--only=").ok_or_else(|| {
                usage(format!("unknown argument `{arg}`; see `cargo xtask ci --help`"))
            })?,
        };
        only.get_or_insert_default().extend(names.split(',').map(str::trim));
    }
    if let Some(unknown) =
        only.iter().flatten().find(|name| !STEPS.iter().any(|step| step.name == **name))
    {
        return Err(usage(format!("unknown step `{unknown}`; `cargo xtask ci --list` lists them")));
    }
    let wanted = |step: &&Step| only.as_ref().is_none_or(|only| only.contains(&step.name));
    Ok(Request::Run(STEPS.iter().filter(wanted).map(|step| step.name).collect()))
}

fn run_steps(steps: &[&Step]) -> Result<(), Failure> {
    // Check for tools first, so that a missing one is reported at once and not after ten minutes.
    for tool in tools::of(steps) {
        tool.provide()?;
    }
    let workspace = Workspace::read(&Query::default())?;
    let mut report = Report::new(steps.len());
    let mut failed = Vec::new();
    for step in steps {
        report.heading(step);
        let start = Instant::now();
        let result = (step.tasks)(&workspace).iter().try_for_each(|task| {
            report.command(task);
            task.run()
        });
        let outcome = if result.is_ok() { Outcome::Passed } else { Outcome::Failed };
        report.outcome(step, outcome, start.elapsed());
        if let Err(failure) = result {
            eprintln!("{failure}");
            failed.push(step.name);
        }
    }
    report.table();
    if failed.is_empty() {
        return Ok(());
    }
    let names = failed.join(",");
    Err(Failure::Failed(format!(
        "ci: failed: {}; `cargo xtask ci --only {names}` repeats them",
        failed.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(args: &str, expected: Result<&[&'static str], &str>) {
        let expected = expected.map(|names| Request::Run(names.to_vec()));
        crate::check_arguments(parse, args, expected);
    }

    #[test]
    fn arguments() {
        let all: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        check("", Ok(&all));
        check("--only doc,fmt", Ok(&["fmt", "doc"]));
        check("--only=doc --only clippy", Ok(&["clippy", "doc"]));
        check("--only fnt", Err("ci: unknown step `fnt`; `cargo xtask ci --list` lists them"));
        check("--only", Err("ci: unknown step ``; `cargo xtask ci --list` lists them"));
        check("--fast", Err("ci: unknown argument `--fast`; see `cargo xtask ci --help`"));
        assert_eq!(parse(&["--list".to_owned()]), Ok(Request::List));
    }
}
