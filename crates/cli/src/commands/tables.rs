//! `streamtable tables`: lists tables.

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::cli::Global;
use crate::failure::Failure;
use crate::output::{Output, print};
use crate::remote::{Remote, encode};
use crate::text::{self, Align, Grid};

const EXAMPLES: &str = "\
Examples:
  streamtable tables
  streamtable tables me/shop
  streamtable tables --json | jq -r '.[].name'";

/// List tables with their row count, size and last write
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Tables {
    /// Only tables of this entity, or of this project
    #[arg(value_name = "ENTITY[/PROJECT]")]
    whose: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Summary of a table, as the server returns it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) name: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) created_at: String,
    pub(crate) last_write: String,
    pub(crate) url: String,
}

#[derive(Deserialize)]
struct Listed {
    tables: Vec<Summary>,
}

impl Tables {
    /// Prints the tables that the key may read, sorted by name.
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let remote = Remote::new(global)?;
        let mut path = "/api/tables".to_owned();
        if let Some(whose) = &self.whose {
            let (entity, project) = match whose.split_once('/') {
                Some((entity, project)) => (entity, Some(project)),
                None => (whose.as_str(), None),
            };
            path.push_str(&format!("?entity={}", encode(entity)));
            if let Some(project) = project {
                path.push_str(&format!("&project={}", encode(project)));
            }
        }
        let Listed { tables } = remote.get(&path).await?;
        if self.json {
            return print(serde_json::to_string_pretty(&tables).map_err(Failure::failed)?);
        }
        if tables.is_empty() {
            return print(format!("no tables at {}", remote.base()));
        }
        let mut grid = Grid::new(&[
            ("table", Align::Left),
            ("rows", Align::Right),
            ("size", Align::Right),
            ("last write", Align::Left),
        ]);
        for table in &tables {
            grid.push(vec![
                text::printable_cell(&table.name),
                text::count(table.rows),
                text::size(table.bytes),
                text::when(&table.last_write),
            ]);
        }
        let mut out = Output::open(None)?;
        out.put(format!("{grid}\n").as_bytes())?;
        out.finish()
    }
}
