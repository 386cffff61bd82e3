//! How soon a row is seen.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use streamtable::blocking::StreamTable;
use streamtable::{Settings, row};
use streamtable_transport_hyper::HyperTransport;

use super::{Figures, Section};
use crate::figures::{Cell, Times};
use crate::server::Server;
use crate::{Bench, Error};

/// How many rows come each second.
const RATE: u64 = 1_000;

pub(super) const SECTION: Section = Section {
    name: "live",
    about: "from the call of `log` until the row has reached a reader of the table's tail, at 1,000 rows a second",
    columns: &["p50", "p99", "longest", "rows"],
    run,
};

fn run(bench: &Bench) -> Result<Figures, Error> {
    let server = Server::start(bench)?;
    let table = StreamTable::builder("bench/speed/live")
        .settings(Settings::default())
        .base_url(&server.url)
        .api_key(&server.key)?
        .no_spool()
        .quiet()
        .transport(HyperTransport::new()?)
        .open_blocking()?;
    // So that there is a table to follow.
    table.log(row! { "sent" => 0 })?;
    table.flush(Duration::from_secs(10))?;
    let body = server.get("/api/tables/bench/speed/live/tail")?.into_body();
    let rows = bench.scale.seconds * RATE;
    let start = Instant::now();
    let reader = std::thread::spawn(move || -> Result<Times, Error> {
        let mut times = Vec::new();
        for line in BufReader::new(body.into_reader()).lines() {
            let line = line?;
            let Some(row) = line.strip_prefix("data:") else { continue };
            let now = start.elapsed();
            let row: serde_json::Value = serde_json::from_str(row)?;
            let sent = row["sent"].as_u64().ok_or("a row without its time")?;
            times.push(now.saturating_sub(Duration::from_micros(sent)));
            if times.len() as u64 == rows {
                break;
            }
        }
        Ok(Times::new(times))
    });
    for i in 0..rows {
        let due = Duration::from_micros(i * 1_000_000 / RATE);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        table.log(row! { "sent" => start.elapsed().as_micros() as u64 })?;
    }
    table.finish()?;
    let times = reader.join().map_err(|_| "the reader panicked")??;
    let [p50, p99, longest] = [0.5, 0.99, 1.0].map(|part| Cell::time(times.at(part)));
    let mut figures = Figures::default();
    figures.line("to the tail", vec![p50, p99, longest, Cell::Count(rows)]);
    figures.note("the client waits 50 ms for more rows before it posts some");
    Ok(figures)
}
