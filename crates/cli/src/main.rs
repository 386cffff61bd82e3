//! The `streamtable` command: a server, and tools for using one from a shell.
//!
//! `commands` contains one file per command; the other modules are shared.

mod arrow_text;
mod cli;
mod commands;
mod failure;
mod input;
mod netrc;
mod output;
mod progress;
mod remote;
mod row_text;
mod settings;
mod style;
mod text;
mod trouble;

use std::process::ExitCode;

use tokio::runtime::Runtime;

use crate::failure::Failure;

/// With many rows per second, the server spends a fifth of its time in the system allocator. Huge
/// pages are not enabled: with many threads that each use little memory, they would double the
/// memory use.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let parsed = match settings::parse(std::env::args_os().collect()) {
        Ok(parsed) => parsed,
        Err(failure) => {
            failure.report();
            return failure.exit_code();
        }
    };
    let ended = match Runtime::new() {
        Ok(runtime) => {
            let ended = runtime.block_on(commands::run(parsed));
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
