//! The command line, parsed by clap.

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};

use crate::commands::{
    backup, board, completions, config, demo, export, keys, log, login, monitor, open, query,
    schema, serve, spool, sync, tables, tail, url,
};

/// The colours that cargo and many others use. Without a terminal, clap omits them.
const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  streamtable demo                           try it, without any setup
  streamtable serve --data ./tables          run a server; its first start creates a key
  jq -c .requests[] log.json | streamtable log me/shop/requests
  streamtable query 'select path, count(*) from me.shop.requests group by path'
  streamtable tail -f me/shop/requests

The server URL comes from --base-url or WANDB_BASE_URL, the API key from
WANDB_API_KEY or the netrc file, as for all W&B clients. Without a URL, the
server is http://127.0.0.1:8080, or W&B's if there is a key for it: in
WANDB_API_KEY, or in netrc if that has none for this machine's server.

Exit codes: 0 success, 1 complete or partial failure, 2 invalid command line,
130 stopped by Ctrl-C.";

/// Append rows from running programs, query them, watch them live
#[derive(Debug, Parser)]
#[command(name = "streamtable", version, styles = STYLES, after_help = EXAMPLES)]
#[command(arg_required_else_help = true, disable_help_subcommand = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Server URL; overrides WANDB_BASE_URL and the settings files
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) base_url: Option<String>,
}

/// The commands, in the order in which a new user needs them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::Demo),
    Serve(serve::Serve),
    Config(config::Config),
    Backup(backup::Backup),
    Log(log::Log),
    Query(query::Query),
    Tail(tail::Tail),
    Export(export::Export),
    Tables(tables::Tables),
    Schema(schema::Schema),
    Board(board::Board),
    Monitor(monitor::Monitor),
    Url(url::Url),
    Open(open::Open),
    Login(login::Login),
    Keys(keys::Keys),
    Sync(sync::Sync),
    Spool(spool::Spool),
    Completions(completions::Completions),
}
