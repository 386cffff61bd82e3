//! `streamtable url`: the link to a table's page.

use std::io::IsTerminal;

use clap::Args;
use streamtable_url::{BaseUrl, panel_url};

use crate::cli::Global;
use crate::failure::Failure;
use crate::output::print;
use crate::remote::Remote;
use crate::style;

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
    /// Prints the link. The table need not exist. On a terminal, also prints a link that logs in once.
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let remote = Remote::new(global)?;
        let table = remote.table(&self.table).await?;
        let board = remote.settings().board_url.as_deref();
        let board = BaseUrl::board(board, remote.base().as_str()).map_err(Failure::usage)?;
        let url = panel_url(&board, &table);
        print(&url)?;
        // For people: a script that reads the link must get nothing else.
        if std::io::stdout().is_terminal()
            && let Ok(link) = remote.login_link(&url).await
        {
            style::note(format_args!("Logged in, once: {link}"));
        }
        Ok(())
    }
}
