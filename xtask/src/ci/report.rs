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
    steps: usize,
    /// Every step that has ended.
    rows: Vec<(&'static str, Outcome, Duration)>,
    colours: bool,
}

impl Report {
    pub(super) fn new(steps: usize) -> Self {
        let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { steps, rows: Vec::new(), colours }
    }

    pub(super) fn heading(&self, step: &Step) {
        let place = format!("[{}/{}]", self.rows.len() + 1, self.steps);
        println!("\n{} {}: {}", self.paint(BOLD, &place), self.paint(BOLD, step.name), step.about);
    }

    pub(super) fn command(&self, task: &Task) {
        println!("{} {task}", self.paint(DIM, "$"));
    }

    pub(super) fn outcome(&mut self, step: &Step, outcome: Outcome, took: Duration) {
        self.rows.push((step.name, outcome, took));
        println!("{} in {:.1} s", self.word(outcome), took.as_secs_f64());
    }

    pub(super) fn table(&self) {
        println!();
        for &(name, outcome, took) in &self.rows {
            println!("{name:<14}{}{:>9.1} s", self.word(outcome), took.as_secs_f64());
        }
        let total: Duration = self.rows.iter().map(|&(_, _, took)| took).sum();
        println!("{:<21}{:>8.1} s", "", total.as_secs_f64());
    }

    fn word(&self, outcome: Outcome) -> String {
        match outcome {
            Outcome::Passed => self.paint(GREEN, "passed"),
            Outcome::Failed => self.paint(RED, "failed"),
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
