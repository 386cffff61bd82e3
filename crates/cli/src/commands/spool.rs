//! `streamtable spool`: rows waiting on disk.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use streamtable::spool::{self, Entry, EntryState};

use crate::commands::sync::dir;
use crate::failure::Failure;
use crate::output::{Output, print};
use crate::style;
use crate::text::{Align, Grid, count, counted, printable_cell, size, when};

const EXAMPLES: &str = "\
Examples:
  streamtable spool ls                          list waiting rows and their servers
  streamtable spool verify                      check the files for damage
  streamtable spool export -o rows.jsonl        copy the rows to a file
  streamtable sync                              deliver the rows";

/// Inspect rows that wait on disk
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Spool {
    #[command(subcommand)]
    action: Action,
    /// The spool folder [default: the one that programs on this machine use]
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the spools and their rows
    Ls,
    /// Check all spooled rows and report damage
    Verify,
    /// Print the rows in wire format, one JSON object per line
    Export {
        /// Only the rows of this writer; a prefix of its id is enough
        writer: Option<String>,
        /// Write to this file [default: standard output]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

impl Spool {
    /// Runs the command. None of the actions changes the spool.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let dir = dir(self.dir)?;
        let entries = spool::list(&dir);
        let entries =
            entries.map_err(|error| Failure::failed(format!("{}: {error}", dir.display())))?;
        match self.action {
            Action::Ls => list(&dir, &entries),
            Action::Verify => verify(&dir, &entries),
            Action::Export { writer, output } => {
                export(&entries, writer.as_deref(), output.as_deref())
            }
        }
    }
}

fn list(dir: &Path, entries: &[Entry]) -> Result<(), Failure> {
    if entries.is_empty() {
        return print(format!("no rows are waiting in {}", dir.display()));
    }
    let mut grid = Grid::new(&[
        ("table", Align::Left),
        ("server", Align::Left),
        ("rows", Align::Right),
        ("media", Align::Right),
        ("size", Align::Right),
        ("since", Align::Left),
        ("state", Align::Left),
        ("writer", Align::Left),
    ]);
    for entry in entries {
        grid.push(vec![
            printable_cell(&table(entry)),
            printable_cell(entry.server.as_deref().unwrap_or("?")),
            count(entry.rows),
            count(entry.media_files),
            size(entry.bytes),
            entry.created.map(|at| when(&at.to_string())).unwrap_or_default(),
            state(entry),
            printable_cell(&entry.writer),
        ]);
    }
    let mut out = Output::open(None)?;
    out.put(format!("{grid}\n").as_bytes())?;
    out.finish()
}

fn table(entry: &Entry) -> String {
    entry.table.as_ref().map_or("?".to_owned(), ToString::to_string)
}

fn state(entry: &Entry) -> String {
    let word = match entry.state {
        EntryState::Live => match entry.process {
            Some(process) => format!("in use by process {process}"),
            None => "in use".to_owned(),
        },
        EntryState::Waiting => "waiting".to_owned(),
        EntryState::Newer { version } => format!("written by a newer version ({version})"),
        EntryState::Unreadable => "unreadable".to_owned(),
    };
    match entry.problems.len() {
        0 => word,
        problems => format!("{word}, {}", counted(problems as u64, "problem")),
    }
}

fn verify(dir: &Path, entries: &[Entry]) -> Result<(), Failure> {
    let mut problems = 0;
    for entry in entries {
        for problem in &entry.problems {
            problems += 1;
            style::warn(format_args!("{} of {}: {problem}", table(entry), entry.writer));
        }
        if entry.state == EntryState::Unreadable {
            problems += 1;
            style::warn(format_args!(
                "cannot identify the writer of the rows in {}",
                entry.dir.display()
            ));
        }
    }
    let rows: u64 = entries.iter().map(|entry| entry.rows).sum();
    let spools = counted(entries.len() as u64, "spool");
    if problems == 0 {
        return print(format!(
            "{}: {spools}, {}, no problems",
            dir.display(),
            counted(rows, "row")
        ));
    }
    Err(Failure::failed(format!(
        "{}: {spools}, {} intact, {}",
        dir.display(),
        counted(rows, "row"),
        counted(problems, "problem")
    )))
}

fn export(entries: &[Entry], writer: Option<&str>, output: Option<&Path>) -> Result<(), Failure> {
    let is_meant = |entry: &&Entry| writer.is_none_or(|writer| entry.writer.starts_with(writer));
    let meant: Vec<&Entry> = entries.iter().filter(is_meant).collect();
    if let (Some(writer), true) = (writer, meant.is_empty()) {
        return Err(Failure::failed(format!(
            "no writer {writer}; run `streamtable spool ls` to list the writers"
        )));
    }
    let mut out = Output::open(output)?;
    let (mut rows, mut damaged, mut written) = (0, 0, Ok(()));
    for entry in meant {
        let exported = spool::export(&entry.dir, |_, line| {
            if written.is_ok() {
                written = out.put(line).and_then(|()| out.put(b"\n"));
            }
        });
        std::mem::replace(&mut written, Ok(()))?;
        let exported = exported
            .map_err(|error| Failure::failed(format!("{}: {error}", entry.dir.display())))?;
        rows += exported.rows;
        damaged += exported.damaged;
    }
    out.finish()?;
    if let Some(path) = output {
        style::note(format_args!("{}: {}", path.display(), counted(rows, "row")));
    }
    match damaged {
        0 => Ok(()),
        damaged => Err(Failure::failed(format!(
            "{} skipped; the rows in damaged places are not exported",
            counted(damaged, "damaged place")
        ))),
    }
}
