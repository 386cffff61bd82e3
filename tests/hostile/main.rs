//! Sends hostile requests to a server for a while, and checks that it stays alive, answers, and keeps
//! the rows of a well-behaved writer. `cargo xtask hostile` builds what it needs and starts it.
//!
//! The server is the real `streamtable` command under limits of address space and memory. The
//! requests depend only on a seed; their timing does not.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program prints")]

mod attack;
#[path = "../crash/generator.rs"]
mod generator;
mod graphql;
mod http;
mod live;
mod options;
mod rows;
mod run;
mod server;
mod sql;
mod tally;
mod writer;

use std::process::ExitCode;

use options::Options;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let options = match Options::parse(&args) {
        Ok(options) => options,
        Err(reason) => {
            eprintln!("hostile: {reason}");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("hostile: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run::run(&options)) {
        Ok(tally) => {
            print!("{tally}");
            let failures = tally.failures(&options);
            for failure in &failures {
                eprintln!("hostile: {failure}");
            }
            if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(reason) => {
            eprintln!("hostile: {reason}");
            ExitCode::FAILURE
        }
    }
}
