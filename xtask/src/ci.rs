//! `cargo xtask ci`: all checks, the same in CI and for contributors.

mod report;
mod steps;
mod tools;

use std::time::Instant;

use lexopt::prelude::*;

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

fn run(parser: lexopt::Parser) -> Result<(), Failure> {
    match parse(parser)? {
        Request::List => {
            for step in STEPS {
                println!("{:<14}{}", step.name, step.about);
            }
            Ok(())
        }
        Request::Run(names) => {
            let steps: Vec<&Step> =
                STEPS.iter().filter(|step| names.contains(&step.name)).collect();
            Ok(run_steps(&steps)?)
        }
    }
}

fn parse(mut parser: lexopt::Parser) -> Result<Request, Failure> {
    let mut only: Option<Vec<String>> = None;
    while let Some(arg) = parser.next()? {
        match arg {
            Long("list") => return Ok(Request::List),
            Long("only") => {
                let names = parser.value()?.string()?;
                only.get_or_insert_default()
                    .extend(names.split(',').map(|it| it.trim().to_owned()));
            }
            _ => return Err(arg.unexpected().into()),
        }
    }
    let is_step = |name: &&String| STEPS.iter().any(|step| step.name == **name);
    if let Some(unknown) = only.iter().flatten().find(|name| !is_step(name)) {
        return Err(Failure::Usage(format!("unknown step `{unknown}` (`--list` prints all)")));
    }
    let wanted =
        |step: &&Step| only.as_ref().is_none_or(|only| only.iter().any(|name| name == step.name));
    Ok(Request::Run(STEPS.iter().filter(wanted).map(|step| step.name).collect()))
}

fn run_steps(steps: &[&Step]) -> Result<(), String> {
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
        if let Err(why) = result {
            eprintln!("{why}");
            failed.push(step.name);
        }
    }
    report.table();
    if failed.is_empty() {
        return Ok(());
    }
    let names = failed.join(",");
    let listed = failed.join(", ");
    Err(format!("failed: {listed}; `cargo xtask ci --only {names}` repeats them"))
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
        check("--only fnt", Err("unknown step `fnt` (`--list` prints all)"));
        check("--only", Err("missing argument for option '--only'"));
        check("--fast", Err("invalid option '--fast'"));
        crate::check_arguments(parse, "--list", Ok(Request::List));
    }
}
