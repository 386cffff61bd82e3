//! Rows per second that the server accepts from several programs.

use super::{Figures, Section};
use crate::client::Job;
use crate::figures::Cell;
use crate::server::Server;
use crate::{Bench, Error};

pub(super) const SECTION: Section = Section {
    name: "ingest",
    about: "rows of several writers into one table, every ack after an fsync",
    columns: &["rows/s", "server CPU per 100,000 rows", "server memory"],
    run,
};

fn run(bench: &Bench) -> Result<Figures, Error> {
    let mut figures = Figures::default();
    for writers in [1, 8, 64] {
        let server = Server::start(bench)?;
        let before = server.usage()?;
        let job = Job::new(&server, "ingest", bench.scale.stream / writers);
        let outcome = Job { writers: writers as usize, per_call: 100, ..job }.run()?;
        let after = server.usage()?;
        let share = 100_000.0 / outcome.rows as f64;
        let cells = vec![
            Cell::rate(outcome.rows, outcome.finished),
            Cell::Seconds((after.cpu - before.cpu).as_secs_f64() * share),
            Cell::Bytes(after.peak_bytes),
        ];
        figures.line(format!("{writers} writers"), cells);
    }
    figures.note("the writers share the processors with the server");
    Ok(figures)
}
