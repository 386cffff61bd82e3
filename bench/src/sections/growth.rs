//! Throughput for more rows and more columns.

use super::{Figures, Section};
use crate::client::{Form, Job};
use crate::figures::Cell;
use crate::server::Server;
use crate::{Bench, Error};

pub(super) const SECTION: Section = Section {
    name: "growth",
    about: "end to end with more rows and more columns, one row per call",
    columns: &["rows/s", "cells/s", "client memory", "server memory"],
    run,
};

fn run(bench: &Bench) -> Result<Figures, Error> {
    let stream = bench.scale.stream;
    let cases = [
        (stream / 10, Form::Typed),
        (stream, Form::Typed),
        (stream * 10, Form::Typed),
        (stream / 10, Form::Wide(10)),
        (stream / 20, Form::Wide(100)),
        (stream / 100, Form::Wide(1000)),
    ];
    let mut figures = Figures::default();
    for (rows, form) in cases {
        let columns = form.columns();
        let server = Server::start(bench)?;
        let outcome = Job { form, ..Job::new(&server, "growth", rows) }.run()?;
        let kind = if matches!(form, Form::Typed) { "mixed" } else { "float" };
        let cells = vec![
            Cell::rate(outcome.rows, outcome.finished),
            Cell::rate(outcome.rows * columns as u64, outcome.finished),
            Cell::Bytes(outcome.peak_bytes),
            Cell::Bytes(server.usage()?.peak_bytes),
        ];
        figures.line(format!("{rows} rows of {columns} {kind} columns"), cells);
    }
    Ok(figures)
}
