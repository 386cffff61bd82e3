//! `streamtable schema`: the columns of a table.

use clap::Args;
use serde::Deserialize;

use crate::cli::Global;
use crate::failure::Failure;
use crate::output::{Output, print};
use crate::remote::{Remote, table_path};
use crate::text::{self, Align, Grid};

const EXAMPLES: &str = "\
Examples:
  streamtable schema me/shop/requests
  streamtable schema me/shop/requests --history    when each type appeared
  streamtable schema me/shop/requests --json";

/// Show a table's columns and their types
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Schema {
    /// Table name, `[[entity/]project/]table`; missing parts come from your settings or the server
    table: String,
    /// Show all types that each column has had, and the row where each started
    #[arg(long)]
    history: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Columns {
    columns: Vec<Column>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    ty: String,
    history: Vec<Seen>,
}

#[derive(Deserialize)]
struct Seen {
    #[serde(rename = "type")]
    ty: String,
    position: u64,
    at: String,
}

impl Schema {
    /// Prints the columns in the order in which they first appeared.
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let remote = Remote::new(global)?;
        let table = remote.table(&self.table).await?;
        let path = table_path(&table, "/schema");
        if self.json {
            let columns: serde_json::Value = remote.get(&path).await?;
            return print(
                serde_json::to_string_pretty(&columns["columns"]).map_err(Failure::failed)?,
            );
        }
        let Columns { columns } = remote.get(&path).await?;
        let mut grid = Grid::new(&[
            ("column", Align::Left),
            ("type", Align::Left),
            ("since row", Align::Right),
            ("seen", Align::Left),
        ]);
        for Column { name, ty, history } in &columns {
            let first = history.first();
            let seen: Vec<&Seen> = match self.history {
                true => history.iter().collect(),
                false => first.into_iter().collect(),
            };
            for (i, at) in seen.iter().enumerate() {
                let name = if i == 0 { text::printable_cell(name) } else { String::new() };
                let ty = if self.history { &at.ty } else { ty };
                grid.push(vec![
                    name,
                    text::printable_cell(ty),
                    text::count(at.position),
                    text::when(&at.at),
                ]);
            }
        }
        let mut out = Output::open(None)?;
        out.put(format!("{grid}\n").as_bytes())?;
        out.finish()
    }
}
