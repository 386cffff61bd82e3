//! The same rows logged by other clients, in the same run.

use super::{Figures, Section};
use crate::client::{Job, Outcome};
use crate::figures::Cell;
use crate::server::Server;
use crate::{Bench, Error, peers};

/// The receiver of a client's rows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Other {
    /// The StreamTable server, which fsyncs.
    Ours,
    /// A sink that discards them.
    Sink,
    /// A file that the client writes itself.
    Itself,
}

/// Another client, or StreamTable from another language.
struct Peer {
    what: &'static str,
    environment: &'static str,
    program: &'static str,
    /// Arguments of the program after the table and the number of rows.
    args: &'static [&'static str],
    other: Other,
}

const PEERS: &[Peer] = &[
    Peer {
        what: "StreamTable from Python, spool on",
        environment: "streamtable",
        program: "ours.py",
        args: &["disk"],
        other: Other::Ours,
    },
    Peer {
        what: "StreamTable from Python, rows in memory",
        environment: "streamtable",
        program: "ours.py",
        args: &["memory"],
        other: Other::Ours,
    },
    Peer {
        what: "weave 0.24 StreamTable",
        environment: "weave-0.24",
        program: "weave_stream_table.py",
        args: &[],
        other: Other::Ours,
    },
    Peer {
        what: "weave 0.50 StreamTable",
        environment: "weave-0.50",
        program: "weave_stream_table.py",
        args: &[],
        other: Other::Ours,
    },
    Peer {
        what: "wandb 0.31 `run.log`",
        environment: "wandb-0.31",
        program: "wandb_log.py",
        args: &[],
        other: Other::Ours,
    },
    Peer {
        what: "Trackio `log`",
        environment: "peers",
        program: "trackio_log.py",
        args: &[],
        other: Other::Itself,
    },
    Peer {
        what: "OpenTelemetry logs (OTLP/HTTP)",
        environment: "peers",
        program: "otel_logs.py",
        args: &[],
        other: Other::Sink,
    },
    Peer {
        what: "QuestDB client (ILP/HTTP)",
        environment: "peers",
        program: "questdb_ilp.py",
        args: &[],
        other: Other::Sink,
    },
];

pub(super) const SECTION: Section = Section {
    name: "peers",
    about: "the same rows by other clients, one row per call, until all are delivered",
    columns: &[
        "call p50",
        "call p99",
        "call p99.9",
        "rows/s",
        "client CPU per 100,000 rows",
        "client memory",
        "p50, ratio",
        "CPU, ratio",
        "rows arrived",
    ],
    run,
};

fn run(bench: &Bench) -> Result<Figures, Error> {
    let mut figures = Figures::default();
    let server = Server::start(bench)?;
    let rows = bench.scale.rows;
    let ours = Job { is_timed: true, ..Job::new(&server, "peer_rust", rows) }.run()?;
    figures.line("StreamTable from Rust", cells(&ours, &ours, rows));
    let sink = peers::sink()?;
    for Peer { what, environment, program, args, other } in PEERS {
        let environments = bench.environments.as_deref();
        let Some(mut process) = peers::python(environments, environment, program) else {
            figures.note(format!("{what}: skipped; its environment is missing"));
            continue;
        };
        let home = tempfile::tempdir_in(&bench.folder)?;
        let table = format!("peer_{}", figures.lines.len());
        process
            .args([&table, &rows.to_string()])
            .args(*args)
            .current_dir(home.path())
            .env("HOME", home.path())
            .env("WANDB_ENTITY", "bench")
            .env("WANDB_PROJECT", "speed")
            .env("WANDB_SILENT", "true")
            .env("WANDB_API_KEY", &server.key)
            .env("WANDB_BASE_URL", &server.url)
            .env("SINK_URL", &sink);
        match peers::outcome(&mut process) {
            Ok(mut outcome) => {
                if *other == Other::Ours {
                    outcome.rows = arrived(&server, &table)?;
                }
                figures.line(*what, cells(&outcome, &ours, rows));
            }
            Err(error) => figures.note(format!("{what}: not measured: {error}")),
        }
        if *other != Other::Ours {
            let end = if *other == Other::Sink { "to a sink" } else { "into its own file" };
            figures.note(format!("{what}: {end}, without fsync"));
        }
    }
    figures.note(
        "all clients except Rust run in Python with one thread; their child processes and startup \
         are included",
    );
    Ok(figures)
}

/// Returns the number of a table's rows on the server.
fn arrived(server: &Server, table: &str) -> Result<u64, Error> {
    #[derive(serde::Deserialize)]
    struct About {
        rows: u64,
    }
    let path = format!("/api/tables/bench/speed/{table}");
    Ok(server.get_json::<About>(&path)?.rows)
}

fn cells(outcome: &Outcome, ours: &Outcome, asked: u64) -> Vec<Cell> {
    // If no row arrived, compute the rate from the logged rows.
    let rows = if outcome.rows == 0 { asked } else { outcome.rows };
    let cpu = |outcome: &Outcome| outcome.cpu / outcome.rows.max(1) as f64 * 1e5;
    vec![
        Cell::Seconds(outcome.p50),
        Cell::Seconds(outcome.p99),
        Cell::Seconds(outcome.p999),
        Cell::rate(rows, outcome.finished),
        Cell::Seconds(cpu(outcome)),
        Cell::Bytes(outcome.peak_bytes),
        Cell::Times(outcome.p50 / ours.p50),
        Cell::Times(cpu(outcome) / cpu(ours)),
        Cell::Count(outcome.rows),
    ]
}
