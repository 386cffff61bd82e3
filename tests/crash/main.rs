//! Kills a server and the programs that log to it at random moments, and compares the stored rows
//! with the logged ones. `cargo xtask crash` builds the programs and starts this one.
//!
//! All processes are real: the `streamtable` command serves, this program logs if it is started as
//! a writer, and [`Proxy`] injects network faults between them. Each writer prints how many rows
//! `log` accepted; this ledger is compared with the rows on the server at the end.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program prints")]

mod generator;
mod ledger;
mod options;
mod proxy;
mod run;
mod server;
mod writer;

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use options::{Options, Role};
use proxy::Proxy;
use run::Run;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let role = match Role::parse(&args) {
        Ok(role) => role,
        Err(reason) => {
            eprintln!("crash: {reason}");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("crash: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        match role {
            Role::Driver(options) => drive(options).await,
            Role::Writer(role) => writer::run(role).await.map(|()| ExitCode::SUCCESS),
        }
    });
    ended.unwrap_or_else(|reason| {
        eprintln!("crash: {reason}");
        ExitCode::FAILURE
    })
}

/// Runs to the end and prints the summary. The first signal ends the killing, the second ends the
/// run.
async fn drive(options: Options) -> Result<ExitCode, String> {
    let is_json = options.is_json;
    let (stop, stopped) = watch::channel(false);
    let summary = tokio::select! {
        summary = Run::new(options, stopped).await?.finish() => summary?,
        ended = second_signal(stop) => return ended,
    };
    match is_json {
        true => println!("{}", summary.to_json()),
        false => print!("{summary}"),
    }
    Ok(if summary.verdict.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn second_signal(stop: watch::Sender<bool>) -> Result<ExitCode, String> {
    let listen = |kind| signal(kind).map_err(|error| format!("no signals: {error}"));
    let (mut interrupt, mut terminate) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    for _ in 0..2 {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if !stop.send_replace(true) {
            eprintln!("\nkilling has ended; the remaining rows are delivered and counted");
        }
    }
    Ok(ExitCode::from(130))
}
