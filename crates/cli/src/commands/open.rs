//! `streamtable open`: a table in the browser, logged in.

use std::process::{Command, Stdio};

use clap::Args;
use streamtable_url::{BaseUrl, panel_url};

use crate::cli::Global;
use crate::failure::Failure;
use crate::output::print;
use crate::remote::Remote;
use crate::style;

const EXAMPLES: &str = "\
Examples:
  streamtable open me/shop/requests
  streamtable open --print me/shop/requests     to open it in another browser

The browser is logged in by a link that works once and for a few minutes; no key
has to be copied. $BROWSER names another browser than the system's.";

/// Open a table in the browser, logged in
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Open {
    /// Table name, `[[entity/]project/]table`; missing parts come from your settings or the server
    table: String,
    /// Print the link instead of opening it
    #[arg(long)]
    print: bool,
}

impl Open {
    /// Makes a login link and opens it. Prints the link if no browser can be started.
    pub(crate) async fn run(self, global: &Global) -> Result<(), Failure> {
        let remote = Remote::new(global)?;
        let table = remote.table(&self.table).await?;
        let board = remote.settings().board_url.as_deref();
        let board = BaseUrl::board(board, remote.base().as_str()).map_err(Failure::usage)?;
        let link = remote.login_link(&panel_url(&board, &table)).await?;
        if self.print {
            return print(link);
        }
        if start_browser(&link) {
            style::note(format_args!("opened {table} in the browser"));
            return Ok(());
        }
        style::warn("no browser could be started; open this link in one, it works once:");
        print(link)
    }
}

/// The programs that open a link in the user's browser, on the systems that have them.
const OPENERS: [&str; 4] = ["xdg-open", "open", "wslview", "explorer.exe"];

fn start_browser(link: &str) -> bool {
    let own = std::env::var("BROWSER").ok().filter(|browser| !browser.is_empty());
    own.as_deref().into_iter().chain(OPENERS).any(|program| {
        let mut command = Command::new(program);
        command.arg(link).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // An opener ends at once; a browser itself may go on.
        command.spawn().is_ok_and(|mut child| {
            std::thread::sleep(std::time::Duration::from_millis(500));
            child.try_wait().is_ok_and(|status| status.is_none_or(|status| status.success()))
        })
    })
}
