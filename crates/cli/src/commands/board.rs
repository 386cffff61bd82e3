//! `streamtable board`: boards as files.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::document;
use crate::cli::Global;
use crate::failure::Failure;
use crate::output::{Output, print};
use crate::remote::Remote;
use crate::text::{Align, Grid, count, printable_cell, when};

const EXAMPLES: &str = "\
Examples:
  streamtable board ls me/shop
  streamtable board get me/shop/latency > latency.json
  streamtable board put me/shop/latency latency.json
  streamtable board put me/other/latency latency.json --new
  streamtable board rm me/shop/latency";

/// The boards in the paths of the native API.
const BOARDS: &str = "boards";

/// List, save, restore and delete boards
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Board {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the boards of a project
    Ls {
        /// The project
        #[arg(value_name = "ENTITY/PROJECT")]
        project: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a board's document to standard output or a file
    Get {
        /// The board, entity/project/name
        board: String,
        /// The version to print [default: the newest]; the last 100 are stored
        #[arg(long = "board-version", value_name = "N")]
        version: Option<u64>,
        /// Write to this file [default: standard output]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Save a document as a board, replacing the board of the same name
    Put {
        /// The board, entity/project/name
        board: String,
        /// The document, a JSON file; - reads standard input
        #[arg(default_value = "-")]
        file: PathBuf,
        /// Fail if a board of this name exists
        #[arg(long, conflicts_with = "seen")]
        new: bool,
        /// Fail unless this is the board's current version
        #[arg(long, value_name = "N")]
        seen: Option<u64>,
    },
    /// Delete a board and its versions
    Rm {
        /// The board, entity/project/name
        board: String,
    },
}

/// Metadata of a board, as the server returns it.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    name: String,
    title: String,
    version: u64,
    updated: String,
    author: String,
}

impl Board {
    /// Runs the command.
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let remote = Remote::new(global)?;
        match self.action {
            Action::Ls { project, json } => list(&remote, &project, json).await,
            Action::Get { board, version, output } => {
                get(&remote, &board, version, output.as_deref()).await
            }
            Action::Put { board, file, new, seen } => {
                document::put(&remote, (BOARDS, &board), &file, new, seen).await
            }
            Action::Rm { board } => document::delete(&remote, BOARDS, &board).await,
        }
    }
}

async fn list(remote: &Remote, project: &str, json: bool) -> Result<(), Failure> {
    let boards: Vec<About> = remote.get(&document::project_path(BOARDS, project)?).await?;
    if json {
        return print(serde_json::to_string_pretty(&boards).map_err(Failure::failed)?);
    }
    if boards.is_empty() {
        return print(format!("no boards in {project}"));
    }
    let mut grid = Grid::new(&[
        ("board", Align::Left),
        ("title", Align::Left),
        ("version", Align::Right),
        ("saved", Align::Left),
        ("by", Align::Left),
    ]);
    for About { name, title, version, updated, author } in &boards {
        grid.push(vec![
            printable_cell(name),
            printable_cell(title),
            count(*version),
            when(updated),
            printable_cell(author),
        ]);
    }
    let mut out = Output::open(None)?;
    out.put(format!("{grid}\n").as_bytes())?;
    out.finish()
}

async fn get(
    remote: &Remote,
    board: &str,
    version: Option<u64>,
    output: Option<&Path>,
) -> Result<(), Failure> {
    let mut path = document::path(remote, BOARDS, board).await?;
    if let Some(version) = version {
        path.push_str(&format!("?version={version}"));
    }
    document::get(remote, &path, output).await
}
