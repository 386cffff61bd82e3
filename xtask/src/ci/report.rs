//! The output of `cargo xtask ci` around that of its commands.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::time::Duration;

use super::steps::{Step, Task};

#[derive(Clone, Copy)]
pub(super) enum Outcome {
    Passed,
    Failed,
}

/// Prints the headings and the final table.
pub(super) struct Report {
    /// A step without a result has not run.
    rows: Vec<(&'static str, Option<(Outcome, Duration)>)>,
    colours: bool,
}

impl Report {
    pub(super) fn new(steps: &[&Step]) -> Self {
        let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { rows: steps.iter().map(|step| (step.name, None)).collect(), colours }
    }

    pub(super) fn heading(&self, index: usize, step: &Step) {
        let place = format!("[{}/{}]", index + 1, self.rows.len());
        println!("\n{} {}: {}", self.paint(BOLD, &place), self.paint(BOLD, step.name), step.about);
    }

    pub(super) fn command(&self, task: &Task) {
        println!("{} {task}", self.paint(DIM, "$"));
    }

    pub(super) fn outcome(&mut self, index: usize, outcome: Outcome, took: Duration) {
        self.rows[index].1 = Some((outcome, took));
        println!("{} in {:.1} s", self.word(Some(outcome)), took.as_secs_f64());
    }

    pub(super) fn table(&self) {
        println!();
        for (name, ended) in &self.rows {
            let word = self.word(ended.map(|(outcome, _)| outcome));
            match ended {
                Some((_, took)) => println!("{name:<14}{word}{:>9.1} s", took.as_secs_f64()),
                None => println!("{name:<14}{word}"),
            }
        }
        let total: Duration = self.rows.iter().filter_map(|row| row.1).map(|(_, took)| took).sum();
        println!("{:<21}{:>8.1} s", "", total.as_secs_f64());
    }

    fn word(&self, outcome: Option<Outcome>) -> String {
        match outcome {
            Some(Outcome::Passed) => self.paint(GREEN, "passed"),
            Some(Outcome::Failed) => self.paint(RED, "failed"),
            None => self.paint(DIM, "not run"),
        }
    }

    fn paint(&self, style: &str, text: impl Display) -> String {
        if self.colours { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_string() }
    }
}

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "31";
