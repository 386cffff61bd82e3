//! Two builds of the server by turns, so that a change's cost can be seen on a noisy machine.

use std::time::{Duration, Instant};

use super::queries::QUERIES;
use super::{Figures, Section};
use crate::figures::{Cell, Times};
use crate::rows::Sample;
use crate::server::Server;
use crate::{Bench, Error};

/// Number of times that each server does each job. The first time is not counted.
const ROUNDS: usize = 41;

/// Number of rounds of jobs that add rows.
const WRITE_ROUNDS: usize = 13;

/// Queries besides those of the section `queries`: functions and operators whose results are
/// bounded.
const FUNCTIONS: &[(&str, &str)] = &[
    ("concat", "select count(distinct concat(host, '/', run)) from t"),
    ("replace", "select max(length(replace(prompt, 'request', 'r'))) from t"),
    ("regular expression", "select count(*) from t where prompt ~ 'session 0+7'"),
];

pub(super) const SECTION: Section = Section {
    name: "versions",
    about: "this server and the one of `--against`, by turns: medians, and the median of the ratios \
            of two runs that follow each other",
    columns: &["this", "the other", "ratio"],
    run,
};

fn run(bench: &Bench) -> Result<Figures, Error> {
    let mut figures = Figures::default();
    let Some(other) = &bench.against else {
        figures.note("skipped: name the binary of another server with --against");
        return Ok(figures);
    };
    let servers = [Server::start(bench)?, Server::start_binary(bench, other)?];
    let rows = bench.scale.rows;
    let mut body = Vec::new();
    for i in 0..rows {
        serde_json::to_writer(&mut body, &Sample::new(i))?;
        body.push(b'\n');
    }
    let post = by_turns(&servers, WRITE_ROUNDS, |server| server.post("speed/t", &body))?;
    figures.line(format!("POST of {rows} rows as JSON lines"), post);
    for (name, sql) in QUERIES.iter().chain(FUNCTIONS) {
        let sql = sql.replacen("from t", "from bench.speed.t", 1);
        let query = by_turns(&servers, ROUNDS, |server| server.query(&sql).map(drop))?;
        figures.line(format!("query: {name}"), query);
    }
    Ok(figures)
}

/// Returns the median times of a job with each server, and the median ratio of each pair.
fn by_turns(
    servers: &[Server; 2],
    rounds: usize,
    job: impl Fn(&Server) -> Result<(), Error>,
) -> Result<Vec<Cell>, Error> {
    let timed = |server: &Server| -> Result<Duration, Error> {
        let start = Instant::now();
        job(server)?;
        Ok(start.elapsed())
    };
    let [this, other] = servers;
    let (mut these, mut others, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        // Neither is always the first.
        let (a, b) = if round % 2 == 0 {
            let a = timed(this)?;
            (a, timed(other)?)
        } else {
            let b = timed(other)?;
            (timed(this)?, b)
        };
        if round > 0 {
            these.push(a);
            others.push(b);
            ratios.push(a.as_secs_f64() / b.as_secs_f64());
        }
    }
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios.get(ratios.len() / 2).copied().map_or(Cell::None, Cell::Times);
    let median = |times| Cell::time(Times::new(times).at(0.5));
    Ok(vec![median(these), median(others), ratio])
}
