//! The `streamtable` command: a server, and tools for using one from a shell.
//!
//! `commands` contains one file per command; the other modules are shared.

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

/// With many rows per second, the server spends a fifth of its time in the system allocator. Huge
/// pages are not enabled: with many threads that each use little memory, they would double the
/// memory use.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Exits the process if the command line is invalid (code 2) or asks for help (code 0).
    let cli = Cli::parse();
    let ended = match Runtime::new() {
        Ok(runtime) => {
            let ended = runtime.block_on(commands::run(cli));
            // Does not wait for a thread that still blocks on reading a pipe.
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
