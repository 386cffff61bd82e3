//! Measures StreamTable beside what its users have today, in one run.
//!
//! `cargo xtask bench` builds and starts it. Each section says what it does in `about`;
//! `docs/performance.md` says how to read the figures.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program prints")]

mod client;
mod figures;
mod page;
mod peers;
mod plot;
mod report;
mod resources;
mod rows;
mod sections;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use client::Job;
use report::Report;
use sections::SECTIONS;

/// Why a measurement ended early.
type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
#[command(name = "streamtable-bench", about = "Measure StreamTable beside its peers", version)]
struct Cli {
    /// Sections to run, in their order; all of them otherwise
    #[arg(long, value_delimiter = ',', value_name = "SECTION")]
    only: Vec<String>,
    /// Say which sections there are
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    scale: Scale,
    /// The server's binary [default: the one beside this]
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// The folder with the peers' Python environments, which `cargo xtask bench` makes
    #[arg(long, value_name = "DIR")]
    environments: Option<PathBuf>,
    /// Where measured servers keep their rows; says which disk is measured
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    /// Write all figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the figures
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(subcommand)]
    child: Option<Child>,
}

/// How much is measured.
#[derive(Clone, Debug, clap::Args)]
struct Scale {
    /// Rows of the measurements at the call, and of each peer
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    rows: u64,
    /// Rows of the measurements from end to end
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    stream: u64,
    /// Rows of the table that is asked
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    big: u64,
    /// Seconds of the live measurement
    #[arg(long, value_name = "N", default_value_t = 20)]
    seconds: u64,
}

/// What a measurement starts as a process of its own, so that its memory and its time are its own.
#[derive(Debug, Subcommand)]
enum Child {
    /// A program that logs
    #[command(hide = true)]
    Client {
        /// The work, as JSON
        job: String,
    },
}

/// What a section needs.
#[derive(Debug)]
struct Bench {
    scale: Scale,
    server: PathBuf,
    environments: Option<PathBuf>,
    folder: PathBuf,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), Error> {
    if let Some(Child::Client { job }) = &cli.child {
        return client::work(&serde_json::from_str::<Job>(job)?);
    }
    if cli.list {
        for section in SECTIONS {
            println!("{:<10}{}", section.name, section.about);
        }
        return Ok(());
    }
    if let Some(unknown) =
        cli.only.iter().find(|name| !SECTIONS.iter().any(|section| section.name == **name))
    {
        return Err(format!("there is no section {unknown:?}; --list names them").into());
    }
    let beside = std::env::current_exe()?.with_file_name("streamtable");
    let bench = Bench {
        scale: cli.scale,
        server: cli.server.unwrap_or(beside),
        environments: cli.environments,
        folder: cli.folder,
    };
    let mut report = Report::new(&bench)?;
    for section in SECTIONS {
        if !cli.only.is_empty() && !cli.only.iter().any(|name| name == section.name) {
            continue;
        }
        eprintln!("{}: {} …", section.name, section.about);
        let figures =
            (section.run)(&bench).map_err(|error| format!("section {}: {error}", section.name))?;
        report.add(section, figures);
        // What was measured stays, whatever becomes of the rest.
        if let Some(path) = &cli.json {
            report.write(path)?;
        }
    }
    if let Some(path) = &cli.svg {
        plot::draw(&report, path)?;
    }
    Ok(())
}
