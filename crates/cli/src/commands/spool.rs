//! `streamtable spool`: what waits on disk.

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
  streamtable spool ls                          what waits, and for whom
  streamtable spool verify                      check every byte of it
  streamtable spool export -o rows.jsonl        read the rows, and leave them there
  streamtable sync                              deliver them";

/// Look at rows that wait on disk
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Spool {
    #[command(subcommand)]
    action: Action,
    /// The spool, instead of the one of this machine's programs
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what waits
    Ls,
    /// Check what waits, and tell what is damaged
    Verify,
    /// Print the rows that wait, as they go over the wire, an object a line
    Export {
        /// Only those of a writer, by its id or the beginning of it
        writer: Option<String>,
        /// Write to a file
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

impl Spool {
    /// Does what is asked; nothing changes the spool.
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
        return print(format!("nothing waits in {}", dir.display()));
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
        EntryState::Newer { version } => format!("of a newer version ({version})"),
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
            style::warn(format_args!("nobody knows whose rows {} holds", entry.dir.display()));
        }
    }
    let rows: u64 = entries.iter().map(|entry| entry.rows).sum();
    let spools = counted(entries.len() as u64, "spool");
    if problems == 0 {
        return print(format!("{}: {spools}, {}, all whole", dir.display(), counted(rows, "row")));
    }
    Err(Failure::failed(format!(
        "{}: {spools}, {} whole, {}",
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
            "no writer {writer}; `streamtable spool ls` lists them"
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
            "{}, whose rows are missing",
            counted(damaged, "damaged place")
        ))),
    }
}
