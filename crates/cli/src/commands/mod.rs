//! The commands. Each file contains the arguments and the implementation of one command.

pub(crate) mod backup;
pub(crate) mod board;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod demo;
mod document;
pub(crate) mod export;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod login;
pub(crate) mod monitor;
pub(crate) mod open;
pub(crate) mod query;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod spool;
pub(crate) mod sync;
pub(crate) mod tables;
pub(crate) mod tail;
pub(crate) mod url;

use crate::cli::Command;
use crate::failure::Failure;
use crate::settings::Parsed;

/// Runs the command selected on the command line.
pub(crate) async fn run(parsed: Parsed) -> Result<(), Failure> {
    let Parsed { cli, settings } = parsed;
    let global = cli.global;
    match cli.command {
        Command::Demo(demo) => demo.run().await,
        Command::Serve(serve) => serve.run().await,
        Command::Config(config) => config.run(&settings),
        Command::Backup(backup) => until_interrupted(backup.run()).await,
        Command::Log(log) => log.run(&global).await,
        Command::Query(query) => until_interrupted(query.run(&global)).await,
        Command::Tail(tail) => until_interrupted(tail.run(&global)).await,
        Command::Export(export) => until_interrupted(export.run(&global)).await,
        Command::Tables(tables) => until_interrupted(tables.run(&global)).await,
        Command::Schema(schema) => until_interrupted(schema.run(&global)).await,
        Command::Board(board) => until_interrupted(board.run(&global)).await,
        Command::Monitor(monitor) => until_interrupted(monitor.run(&global)).await,
        Command::Url(url) => until_interrupted(url.run(&global)).await,
        Command::Open(open) => until_interrupted(open.run(&global)).await,
        Command::Login(login) => until_interrupted(login.run(&global)).await,
        Command::Keys(keys) => until_interrupted(keys.run(&global)).await,
        Command::Sync(sync) => until_interrupted(sync.run()).await,
        Command::Spool(spool) => spool.run(),
        Command::Completions(completions) => completions.run(),
    }
}

/// Runs a command until Ctrl-C. On Ctrl-C the command is dropped, including any partly written
/// file.
async fn until_interrupted(
    command: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    tokio::select! {
        ended = command => ended,
        signal = tokio::signal::ctrl_c() => Err(match signal {
            Ok(()) => Failure::Interrupted,
            Err(error) => Failure::failed(format!("cannot listen for Ctrl-C: {error}")),
        }),
    }
}
