//! `streamtable url`: the link to a table's page.

use clap::Args;
use streamtable_url::{BaseUrl, panel_url};

use crate::cli::Global;
use crate::failure::Failure;
use crate::output::print;
use crate::remote::Remote;

const EXAMPLES: &str = "\
Examples:
  streamtable url me/shop/requests
  xdg-open \"$(streamtable url me/shop/requests)\"";

/// Print the link to a table's page
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Url {
    /// Table name, `[[entity/]project/]table`; missing parts come from your settings or the server
    table: String,
}

impl Url {
    /// Prints the link. The table need not exist.
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let remote = Remote::new(global)?;
        let table = remote.table(&self.table).await?;
        let board = remote.settings().board_url.as_deref();
        let board = BaseUrl::board(board, remote.base().as_str()).map_err(Failure::usage)?;
        print(panel_url(&board, &table))
    }
}
