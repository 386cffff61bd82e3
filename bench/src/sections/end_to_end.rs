//! Time from the first `log` until the server has all rows on disk.

use super::{Figures, Section};
use crate::client::{Form, Job, Outcome};
use crate::figures::Cell;
use crate::resources::Usage;
use crate::server::Server;
use crate::{Bench, Error};

pub(super) const SECTION: Section = Section {
    name: "e2e",
    about: "from the first `log` to the end of `finish`, one thread, one row per call, fsynced by the server",
    columns: &[
        "rows/s",
        "client CPU per 100,000 rows",
        "server CPU per 100,000 rows",
        "client memory",
        "server memory",
    ],
    run,
};

fn run(bench: &Bench) -> Result<Figures, Error> {
    let mut figures = Figures::default();
    let cases = [
        ("typed rows, in memory", Form::Typed, false),
        ("`Row`s, in memory", Form::Dynamic, false),
        ("typed rows, spool on", Form::Typed, true),
    ];
    for (what, form, has_spool) in cases {
        let server = Server::start(bench)?;
        let spool = tempfile::tempdir_in(&bench.folder)?;
        let before = server.usage()?;
        let outcome = Job {
            form,
            spool: has_spool.then(|| spool.path().to_owned()),
            ..Job::new(&server, "e2e", bench.scale.stream)
        }
        .run()?;
        figures.line(what, cells(&outcome, before, server.usage()?));
    }
    Ok(figures)
}

fn cells(outcome: &Outcome, before: Usage, after: Usage) -> Vec<Cell> {
    let share = 100_000.0 / outcome.rows as f64;
    vec![
        Cell::rate(outcome.rows, outcome.finished),
        Cell::Seconds(outcome.cpu * share),
        Cell::Seconds((after.cpu - before.cpu).as_secs_f64() * share),
        Cell::Bytes(outcome.peak_bytes),
        Cell::Bytes(after.peak_bytes),
    ]
}
