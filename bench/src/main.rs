//! Benchmarks StreamTable and alternative clients in one run.
//!
//! `cargo xtask bench` builds and starts it. Each section describes itself in `about`;
//! `docs/performance.md` explains the figures.

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

/// An error that aborts a measurement.
type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Parser)]
#[command(name = "streamtable-bench", about = "Measure StreamTable and other clients", version)]
struct Cli {
    /// Sections to run, in their order [default: all]
    #[arg(long, value_delimiter = ',', value_name = "SECTION")]
    only: Vec<String>,
    /// List the sections
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    scale: Scale,
    /// The server's binary [default: the one next to this program]
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// The binary of another server, which the section `versions` compares with this one
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// The folder with the Python environments of the other clients, which `cargo xtask bench`
    /// creates
    #[arg(long, value_name = "DIR")]
    environments: Option<PathBuf>,
    /// Data folder of the measured servers; choose it on the disk to be measured
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    /// Write all figures to a JSON file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the figures to an SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(subcommand)]
    child: Option<Child>,
}

/// The sizes of the measurements.
#[derive(Clone, Debug, clap::Args)]
struct Scale {
    /// Rows per measured client, and per measurement of single calls
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    rows: u64,
    /// Rows of the end-to-end measurements
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    stream: u64,
    /// Rows of the queried table
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    big: u64,
    /// Seconds of the live measurement
    #[arg(long, value_name = "N", default_value_t = 20)]
    seconds: u64,
}

/// A measurement that runs as a separate process, so that its memory and CPU time are measured
/// alone.
#[derive(Debug, Subcommand)]
enum Child {
    /// A client program
    #[command(hide = true)]
    Client {
        /// The job, as JSON
        job: String,
    },
}

/// The inputs of a section.
#[derive(Debug)]
struct Bench {
    scale: Scale,
    server: PathBuf,
    /// The binary of another server to compare with.
    against: Option<PathBuf>,
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
        return Err(format!("unknown section {unknown:?}; --list lists them").into());
    }
    let beside = std::env::current_exe()?.with_file_name("streamtable");
    let bench = Bench {
        scale: cli.scale,
        server: cli.server.unwrap_or(beside),
        against: cli.against,
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
        // Write the finished sections even if a later one failed.
        if let Some(path) = &cli.json {
            report.write(path)?;
        }
    }
    if let Some(path) = &cli.svg {
        plot::draw(&report, path)?;
    }
    Ok(())
}
