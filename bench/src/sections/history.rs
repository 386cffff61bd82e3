//! Reads the history of a large run as W&B clients do, page by page.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Figures, Section};
use crate::figures::Cell;
use crate::server::Server;
use crate::{Bench, Error};

/// Rows of one request while the run is filled.
const POST: u64 = 10_000;

/// Steps of one page: the default of the clients.
const PAGE: u64 = 1_000;

/// Number of repetitions: the first and the best are reported.
const TIMES: usize = 5;

/// The request of wandb 0.31 for a page of some keys.
const KEYS: &str = "query RunSampledHistory($spec: JSONString!) { project(name: \"p\", entityName: \
    \"bench\") { run(name: \"r\") { sampledHistory(specs: [$spec]) } } }";

/// The request for a page of all columns.
const ALL: &str = "query HistoryPage($min: Int64!, $max: Int64!, $size: Int!) { project(name: \"p\", \
    entityName: \"bench\") { run(name: \"r\") { history(minStep: $min, maxStep: $max, samples: $size) \
    } } }";

pub(super) const SECTION: Section = Section {
    name: "history",
    about: "pages of 1,000 steps from the history of a large run, by the requests of W&B clients",
    columns: &["first", "best", "best, after a restart"],
    run,
};

fn run(bench: &Bench) -> Result<Figures, Error> {
    let mut figures = Figures::default();
    let mut server = Server::start(bench)?;
    let rows = bench.scale.big;
    let start = Instant::now();
    fill(&server, rows)?;
    figures.note(format!("{rows} rows were posted in {}", Cell::time(start.elapsed()).show()));
    let part = 3 * PAGE.min(rows / 3);
    let cases = [
        ("3,000 rows of one key at the start", true, 0, part),
        ("3,000 rows of one key in the middle", true, rows / 2, part),
        ("3,000 rows of one key at the end", true, rows - part, part),
        ("3,000 rows of all columns in the middle", false, rows / 2, part),
        ("100,000 rows of one key in the middle", true, rows / 2, (rows / 2).min(100 * PAGE)),
    ];
    let mut times = Vec::new();
    for (name, by_key, from, count) in cases {
        times.push((name, measure(&server, by_key, from, count)?));
    }
    server.restart()?;
    for ((name, (first, best)), (_, by_key, from, count)) in times.into_iter().zip(cases) {
        let (_, again) = measure(&server, by_key, from, count)?;
        figures.line(name, vec![Cell::time(first), Cell::time(best), Cell::time(again)]);
    }
    Ok(figures)
}

/// Posts rows with steps to a new run.
fn fill(server: &Server, rows: u64) -> Result<(), Error> {
    let open = "mutation UpsertBucket { upsertBucket(input: {entityName: \"bench\", modelName: \"p\", \
                name: \"r\"}) { inserted } }";
    server.post_json("graphql", &json!({ "query": open }))?;
    for from in (0..rows).step_by(POST as usize) {
        let lines: Vec<String> = (from..rows.min(from + POST))
            .map(|i| format!(r#"{{"i":{i},"x":{},"_step":{i}}}"#, i as f64 / 7.0))
            .collect();
        let history = json!({ "offset": from, "content": lines });
        let body = json!({ "files": { "wandb-history.jsonl": history } });
        server.post_json("files/bench/p/r/file_stream", &body)?;
    }
    Ok(())
}

/// Reads a range of steps page by page several times; returns the first and the best time.
fn measure(
    server: &Server,
    by_key: bool,
    from: u64,
    count: u64,
) -> Result<(Duration, Duration), Error> {
    let read = || -> Result<Duration, Error> {
        let start = Instant::now();
        let mut next = from;
        while next < from + count {
            let end = (from + count).min(next + PAGE);
            let numbers = page(server, by_key, next, end)?;
            if !numbers.eq(next..end) {
                return Err(format!("the page {next}..{end} has other rows").into());
            }
            next = end;
        }
        Ok(start.elapsed())
    };
    let times = (0..TIMES).map(|_| read()).collect::<Result<Vec<_>, _>>()?;
    Ok((times[0], times.iter().min().copied().unwrap_or_default()))
}

/// Reads one page; returns the values of the column `i`.
fn page(
    server: &Server,
    by_key: bool,
    from: u64,
    end: u64,
) -> Result<impl Iterator<Item = u64>, Error> {
    let body = if by_key {
        let spec = json!({ "keys": ["i"], "minStep": from, "maxStep": end, "samples": PAGE });
        json!({ "query": KEYS, "variables": { "spec": spec.to_string() } })
    } else {
        json!({ "query": ALL, "variables": { "min": from, "max": end, "size": PAGE } })
    };
    let answer = server.post_json("graphql", &body)?;
    let run = &answer["data"]["project"]["run"];
    let rows = if by_key { &run["sampledHistory"][0] } else { &run["history"] };
    let rows = rows.as_array().ok_or_else(|| format!("no rows: {answer}"))?;
    let number = |row: &Value| match row.as_str() {
        Some(text) => serde_json::from_str::<Value>(text).ok()?["i"].as_u64(),
        None => row["i"].as_u64(),
    };
    let numbers: Option<Vec<u64>> = rows.iter().map(number).collect();
    Ok(numbers.ok_or("a row without a number")?.into_iter())
}
