//! Latency from `log` to a reader.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use serde::Deserialize;
use streamtable::blocking::StreamTable;
use streamtable::{Settings, row};
use streamtable_transport_hyper::HyperTransport;

use super::{Figures, Section};
use crate::figures::{Cell, Times};
use crate::page::Page;
use crate::server::Server;
use crate::{Bench, Error};

/// Number of rows per second.
const RATE: u64 = 1_000;

pub(super) const SECTION: Section = Section {
    name: "live",
    about: "from the call of `log` until the row has reached a reader, at 1,000 rows per second",
    columns: &["p50", "p99", "longest", "rows"],
    run,
};

/// The rows that a reader receives: for each batch of new rows, their times of logging in
/// microseconds.
type Seen = Box<dyn Iterator<Item = Result<Vec<u64>, Error>> + Send>;

/// Starts a reader of a table.
type Look = fn(&Server, &str) -> Result<Seen, Error>;

const LOOKS: &[(&str, &str, Look)] = &[
    ("to a reader of the table's tail", "tail", tail),
    ("to an open board: notified, it has requested and received the rows", "board", board),
];

fn run(bench: &Bench) -> Result<Figures, Error> {
    let server = Server::start(bench)?;
    let rows = bench.scale.seconds * RATE;
    let mut figures = Figures::default();
    for (what, table, look) in LOOKS {
        let times = measure(&server, table, rows, *look)?;
        let [p50, p99, longest] = [0.5, 0.99, 1.0].map(|part| Cell::time(times.at(part)));
        figures.line(*what, vec![p50, p99, longest, Cell::Count(rows)]);
    }
    figures.note("the client waits 50 ms for more rows before each request");
    figures.note("a board is a WebSocket with one view, without rendering in a browser");
    Ok(figures)
}

fn measure(server: &Server, table: &str, rows: u64, look: Look) -> Result<Times, Error> {
    let name = format!("bench/speed/live_{table}");
    let table = StreamTable::builder(&name)
        .settings(Settings::default())
        .base_url(&server.url)
        .api_key(&server.key)
        .no_spool()
        .quiet()
        .transport(HyperTransport::new()?)
        .open_blocking()?;
    // The first row creates the table.
    table.log(row! { "sent" => 0 })?;
    table.flush(Duration::from_secs(10))?;
    let seen = look(server, &name)?;
    let start = Instant::now();
    let reader = std::thread::spawn(move || -> Result<Times, Error> {
        let mut times = Vec::new();
        for sent in seen {
            let (sent, now) = (sent?, start.elapsed());
            times.extend(sent.into_iter().map(|it| now.saturating_sub(Duration::from_micros(it))));
            if times.len() as u64 >= rows {
                return Ok(Times::new(times));
            }
        }
        Err(format!("only {} rows of {rows} were seen", times.len()).into())
    });
    for i in 0..rows {
        let due = Duration::from_micros(i * 1_000_000 / RATE);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        table.log(row! { "sent" => start.elapsed().as_micros() as u64 })?;
    }
    table.finish()?;
    reader.join().map_err(|_| "the reader panicked")?
}

fn tail(server: &Server, table: &str) -> Result<Seen, Error> {
    #[derive(Deserialize)]
    struct Sent {
        sent: u64,
    }
    let body = server.get(&format!("/api/tables/{table}/tail"))?.into_body();
    let lines = BufReader::new(body.into_reader()).lines();
    Ok(Box::new(lines.filter_map(|line| match line {
        Ok(line) => {
            let row = line.strip_prefix("data:")?;
            let sent = serde_json::from_str(row).map(|Sent { sent }| vec![sent]);
            Some(sent.map_err(Error::from))
        }
        Err(error) => Some(Err(error.into())),
    })))
}

fn board(server: &Server, table: &str) -> Result<Seen, Error> {
    let mut page = Page::open(server, table)?;
    Ok(Box::new(std::iter::from_fn(move || Some(page.news()))))
}
