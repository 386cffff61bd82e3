//! The `streamtable` command: a server, and all that is done with one from a shell.
//!
//! One file a command below `commands`; what several of them need stands beside it.

mod arrow_text;
mod cli;
mod commands;
mod events;
mod failure;
mod input;
mod netrc;
mod output;
mod progress;
mod remote;
mod row_text;
mod style;
mod text;
mod trouble;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;

use crate::cli::Cli;
use crate::failure::Failure;

/// A server spends a fifth of its time in the system's allocator, when rows come fast. It does not ask
/// for huge pages: many threads with a little memory each would take twice as much in them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Ends the process itself where the line makes no sense (code 2) or asks for help (code 0).
    let cli = Cli::parse();
    let ended = match Runtime::new() {
        Ok(runtime) => {
            let ended = runtime.block_on(commands::run(cli));
            // What still reads from a pipe that nobody writes to is not waited for.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(Failure::failed(format!("cannot start: {error}"))),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.exit_code()
        }
    }
}
