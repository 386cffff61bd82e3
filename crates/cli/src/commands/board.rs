//! `streamtable board`: boards as files.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderValue, Method};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};

use crate::cli::Global;
use crate::failure::Failure;
use crate::output::{Output, print};
use crate::remote::{Remote, encode};
use crate::text::{Align, Grid, count, printable_cell, when};

const EXAMPLES: &str = "\
Examples:
  streamtable board ls me/shop
  streamtable board get me/shop/latency > latency.json
  streamtable board put me/shop/latency latency.json
  streamtable board put me/other/latency latency.json --new
  streamtable board rm me/shop/latency";

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
            Action::Put { board, file, new, seen } => put(&remote, &board, &file, new, seen).await,
            Action::Rm { board } => {
                remote.delete(&board_path(&remote, &board).await?).await?;
                print(format!("deleted {board}"))
            }
        }
    }
}

async fn list(remote: &Remote, project: &str, json: bool) -> Result<(), Failure> {
    let parts: Vec<&str> = project.split('/').collect();
    let [entity, name] = parts[..] else {
        return Err(Failure::usage(format!(
            "{project:?} is not a project; expected ENTITY/PROJECT"
        )));
    };
    let path = format!("/api/boards/{}/{}", encode(entity), encode(name));
    let boards: Vec<About> = remote.get(&path).await?;
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
    let mut path = board_path(remote, board).await?;
    if let Some(version) = version {
        path.push_str(&format!("?version={version}"));
    }
    let answer = remote.send(remote.request(Method::GET, &path, None)?).await?;
    let body = answer.into_body().collect().await.map_err(Failure::failed)?.to_bytes();
    let mut out = Output::open(output)?;
    out.put(&body)?;
    if out.is_terminal() {
        out.put(b"\n")?;
    }
    out.finish()
}

async fn put(
    remote: &Remote,
    board: &str,
    file: &Path,
    new: bool,
    seen: Option<u64>,
) -> Result<(), Failure> {
    let document = read(file)?;
    let path = board_path(remote, board).await?;
    let mut request = remote.request(Method::PUT, &path, Some(document.into()))?;
    if new {
        request.headers_mut().insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
    }
    if let Some(seen) = seen {
        let seen = HeaderValue::try_from(format!("\"{seen}\"")).map_err(Failure::failed)?;
        request.headers_mut().insert(IF_MATCH, seen);
    }
    let answer = remote.send(request).await?;
    let etag = answer.headers().get(ETAG).and_then(|it| it.to_str().ok());
    let version = etag.unwrap_or_default().trim_matches('"').to_owned();
    print(format!("saved {board}, version {version}"))
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::failed(format!("cannot read {}: {error}", file.display()));
    if file == Path::new("-") {
        let mut document = Vec::new();
        std::io::stdin().read_to_end(&mut document).map_err(failed)?;
        return Ok(document);
    }
    std::fs::read(file).map_err(failed)
}

/// Returns the path of a board in the native API. Missing parts of the name come from the same
/// sources as for tables.
async fn board_path(remote: &Remote, board: &str) -> Result<String, Failure> {
    let path = remote.table(board).await?;
    let [entity, project, name] = [path.entity(), path.project(), path.table()].map(encode);
    Ok(format!("/api/boards/{entity}/{project}/{name}"))
}
