//! The measured client program, in a separate process.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use streamtable::blocking::StreamTable;
use streamtable::spool::SpoolConfig;
use streamtable::{ColumnPolicy, LogError, Settings, WhenFull, WhenUnreachable};
use streamtable_transport_hyper::HyperTransport;

use crate::figures::Times;
use crate::resources::Usage;
use crate::rows::{Sample, wide};
use crate::server::Server;
use crate::{Error, peers};

/// Number of cells in the rows that are prepared before they are logged. Preparation is not
/// measured; a larger number would add to the measured memory.
const CELLS: usize = 100_000;

/// The job of the client program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) url: String,
    pub(crate) key: String,
    pub(crate) table: String,
    /// Number of rows per writer.
    pub(crate) rows: u64,
    pub(crate) form: Form,
    /// Number of rows per call of `log`.
    pub(crate) per_call: u64,
    /// Number of threads, each with its own open table.
    pub(crate) writers: usize,
    /// The spool's folder; without one, pending rows are in memory.
    pub(crate) spool: Option<PathBuf>,
    /// Whether each call is timed, which needs two clock readings.
    pub(crate) is_timed: bool,
    /// Whether the server is unreachable, so that rows remain at the end.
    pub(crate) is_unreachable: bool,
}

/// The type of the rows.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Form {
    /// A struct that implements `Serialize`.
    Typed,
    /// A `Row`.
    Dynamic,
    /// A `Row` with this many float columns.
    Wide(usize),
}

impl Form {
    /// Returns the number of columns.
    pub(crate) fn columns(self) -> usize {
        match self {
            Self::Typed | Self::Dynamic => 10,
            Self::Wide(columns) => columns,
        }
    }
}

/// The measurements of a program, as printed by this program and by the Python programs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Number of rows that the receiver has, as far as the program knows.
    pub(crate) rows: u64,
    /// Percentiles of the calls' durations divided by the rows per call, in seconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// Seconds until the last call returned, and until all rows were delivered.
    pub(crate) logged: f64,
    pub(crate) finished: f64,
    /// CPU seconds, including child processes.
    pub(crate) cpu: f64,
    pub(crate) peak_bytes: u64,
}

impl Job {
    pub(crate) fn new(server: &Server, table: &str, rows: u64) -> Self {
        Self {
            url: server.url.clone(),
            key: server.key.clone(),
            table: format!("bench/speed/{table}"),
            rows,
            form: Form::Typed,
            per_call: 1,
            writers: 1,
            spool: None,
            is_timed: false,
            is_unreachable: false,
        }
    }

    /// Runs the job in a separate process and returns its measurements.
    pub(crate) fn run(&self) -> Result<Outcome, Error> {
        let mut process = Command::new(std::env::current_exe()?);
        process.args(["client", &serde_json::to_string(self)?]);
        peers::outcome(&mut process)
    }
}

/// Runs a job in this process and prints the measurements.
pub(crate) fn work(job: &Job) -> Result<(), Error> {
    let barrier = Barrier::new(job.writers);
    let results: Vec<Result<WriterResult, Error>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..job.writers)
            .map(|writer| {
                scope.spawn({
                    let barrier = &barrier;
                    move || write(job, writer as u64, barrier)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Err("panicked".into()))).collect()
    });
    let (mut times, mut outcome) = (Vec::new(), Outcome::default());
    for result in results {
        let worked = result?;
        times.extend(worked.times);
        outcome.rows += worked.acked;
        outcome.logged = outcome.logged.max(worked.logged.as_secs_f64());
        outcome.finished = outcome.finished.max(worked.finished.as_secs_f64());
    }
    let times = Times::new(times);
    [outcome.p50, outcome.p99, outcome.p999] =
        [0.5, 0.99, 0.999].map(|part| times.at(part).as_secs_f64() / job.per_call as f64);
    let usage = Usage::of("self")?;
    (outcome.cpu, outcome.peak_bytes) = (usage.cpu.as_secs_f64(), usage.peak_bytes);
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

/// The measurements of one writer.
struct WriterResult {
    times: Vec<Duration>,
    acked: u64,
    logged: Duration,
    finished: Duration,
}

fn write(job: &Job, writer: u64, barrier: &Barrier) -> Result<WriterResult, Error> {
    let opened = open(job);
    // All writers start together, even if one fails.
    barrier.wait();
    let table = opened?;
    let (start, mut waited) = (Instant::now(), Duration::ZERO);
    let mut times = Vec::new();
    let chunk = (CELLS / job.form.columns()).max(1);
    for first in (0..job.rows).step_by(chunk) {
        let indexes = first..job.rows.min(first + chunk as u64);
        let making = Instant::now();
        let base = writer * job.rows;
        match job.form {
            Form::Typed => {
                let rows: Vec<Sample> = indexes.map(|i| Sample::new(base + i)).collect();
                waited += making.elapsed();
                log(job, &rows, &mut times, |rows| table.log(rows).map(drop))?;
            }
            Form::Dynamic => {
                let rows: Vec<_> = indexes.map(|i| Sample::new(base + i).to_row()).collect();
                waited += making.elapsed();
                log(job, &rows, &mut times, |rows| table.log(rows).map(drop))?;
            }
            Form::Wide(columns) => {
                let rows: Vec<_> = indexes.map(|i| wide(base + i, columns)).collect();
                waited += making.elapsed();
                log(job, &rows, &mut times, |rows| table.log(rows).map(drop))?;
            }
        }
    }
    let logged = start.elapsed() - waited;
    let acked = if job.is_unreachable { table.stats().acked } else { table.finish()?.acked };
    // Exclude the time to prepare rows, although delivery continued during it.
    Ok(WriterResult { times, acked, logged, finished: start.elapsed() })
}

fn log<R>(
    job: &Job,
    rows: &[R],
    times: &mut Vec<Duration>,
    call: impl Fn(&[R]) -> Result<(), LogError>,
) -> Result<(), Error> {
    for rows in rows.chunks(job.per_call as usize) {
        if job.is_timed {
            let start = Instant::now();
            call(rows)?;
            times.push(start.elapsed());
        } else {
            call(rows)?;
        }
    }
    Ok(())
}

fn open(job: &Job) -> Result<StreamTable, Error> {
    let builder = StreamTable::builder(&job.table)
        .settings(Settings::default())
        .base_url(&job.url)
        .api_key(&job.key)
        .columns(ColumnPolicy::Evolve)
        .when_full(WhenFull::Wait)
        .quiet()
        .transport(HyperTransport::new()?);
    let builder = match &job.spool {
        Some(dir) => {
            builder.spool(SpoolConfig { dir: Some(dir.clone()), ..SpoolConfig::default() })
        }
        None => builder.no_spool(),
    };
    let builder = match job.is_unreachable {
        true => builder
            .when_unreachable(WhenUnreachable::LogAnyway)
            .open_timeout(Duration::from_secs(1))
            .drop_timeout(Duration::from_millis(100)),
        false => builder,
    };
    Ok(builder.open_blocking()?)
}
