//! Queries of a large table, compared with DuckDB and Polars on the same files.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Figures, Section};
use crate::client::Job;
use crate::figures::Cell;
use crate::server::Server;
use crate::{Bench, Error, peers};

/// Number of runs of each query: the first run and the best run are reported.
const TIMES: usize = 7;

/// The queries: a name, and SQL for the table `t`. `peers/queries.py` runs the same ones.
pub(super) const QUERIES: &[(&str, &str)] = &[
    ("count", "select count(*) from t"),
    (
        "filtered top 100",
        "select step, loss, prompt, accuracy from t where loss > 0.9 \
         order by accuracy desc, step limit 100",
    ),
    ("newest 100", "select step, loss, prompt from t order by timestamp desc limit 100"),
    (
        "group by",
        "select run, count(*) as n, avg(loss) as loss, max(accuracy) as best from t group by run",
    ),
    ("group by many", "select host, count(*) as n, avg(tokens) as tokens from t group by host"),
    (
        "time buckets",
        "select date_trunc('second', timestamp) as second, count(*) as n, avg(loss) as loss \
         from t group by second order by second",
    ),
    ("text search", "select count(*) from t where prompt like '%of session 0000007%'"),
];

pub(super) const SECTION: Section = Section {
    name: "queries",
    about: "queries of a large table: ours over HTTP with a restarted server, the others in \
            their own process over the same files",
    columns: &["ours, first", "ours", "DuckDB", "Polars", "ratio to DuckDB", "ratio to Polars"],
    run,
};

fn run(bench: &Bench) -> Result<Figures, Error> {
    let mut figures = Figures::default();
    let mut server = Server::start(bench)?;
    let rows = bench.scale.big;
    let outcome = Job { per_call: 1000, ..Job::new(&server, "t", rows) }.run()?;
    let rate = outcome.rows as f64 / outcome.finished;
    let memory = Cell::Bytes(server.usage()?.peak_bytes).show();
    figures.note(format!(
        "{rows} rows were ingested at {rate:.0} per second; peak memory of the server: {memory}"
    ));
    let count = server.query("select count(*) from bench.speed.t")?;
    drop(count);
    server.restart()?;
    figures.note(format!("the server started in {}", Cell::time(server.start).show()));

    let mut ours = Vec::new();
    for (_, sql) in QUERIES {
        let sql = sql.replacen("from t", "from bench.speed.t", 1);
        let times: Result<Vec<Duration>, Error> = (0..TIMES)
            .map(|_| {
                let start = Instant::now();
                server.query(&sql)?;
                Ok(start.elapsed())
            })
            .collect();
        let times = times?;
        ours.push((times[0], times.iter().min().copied().unwrap_or_default()));
    }
    figures.note(format!(
        "peak memory of the server after the queries: {}",
        Cell::Bytes(server.usage()?.peak_bytes).show()
    ));
    let folder = server.table_folder("bench/speed/t");

    let peers = peers::python(bench.environments.as_deref(), "peers", "queries.py");
    let theirs: HashMap<String, HashMap<String, f64>> = match peers {
        Some(mut process) => {
            process.arg(&folder).arg(serde_json::to_string(QUERIES)?);
            match peers::last_line(&mut process) {
                Ok(line) => serde_json::from_str(&line)?,
                Err(error) => {
                    figures.note(format!("DuckDB and Polars: not measured: {error}"));
                    HashMap::new()
                }
            }
        }
        None => {
            figures.note("DuckDB and Polars: skipped; their environment is missing");
            HashMap::new()
        }
    };
    for ((name, _), (first, best)) in QUERIES.iter().zip(ours) {
        let their = |engine: &str| theirs.get(engine).and_then(|times| times.get(*name)).copied();
        let [duckdb, polars] = ["duckdb", "polars"].map(their);
        let time = |seconds: Option<f64>| seconds.map_or(Cell::None, Cell::Seconds);
        let times = |seconds: Option<f64>| {
            seconds.map_or(Cell::None, |seconds| Cell::Times(best.as_secs_f64() / seconds))
        };
        let cells = vec![
            Cell::time(first),
            Cell::time(best),
            time(duckdb),
            time(polars),
            times(duckdb),
            times(polars),
        ];
        figures.line(*name, cells);
    }
    Ok(figures)
}
