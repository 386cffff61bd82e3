//! Lower bounds of any implementation on this machine.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use super::{Figures, Section};
use crate::figures::{Cell, Times};
use crate::resources::Usage;
use crate::rows::Sample;
use crate::{Bench, Error, peers};

/// Number of rows in one request.
const BATCH: usize = 5_000;

pub(super) const SECTION: Section = Section {
    name: "floors",
    about: "the minimum cost of any client and any server",
    columns: &["each", "CPU per 100,000 rows"],
    run,
};

fn run(bench: &Bench) -> Result<Figures, Error> {
    let mut figures = Figures::default();
    let rows: Vec<Sample> = (0..bench.scale.rows).map(Sample::new).collect();

    let start = Instant::now();
    for _ in 0..1_000_000 {
        black_box(Instant::now());
    }
    let each = start.elapsed() / 500_000;
    figures.line("clock: two readings", vec![Cell::time(each), Cell::None]);

    let mut text = Vec::with_capacity(rows.len() * 256);
    let start = Instant::now();
    for row in &rows {
        serde_json::to_writer(&mut text, row)?;
        text.push(b'\n');
    }
    let encode = start.elapsed().as_secs_f64() / rows.len() as f64;
    let cells = vec![Cell::Seconds(encode), Cell::Seconds(encode * 1e5)];
    figures.line("serde_json: a row to memory", cells);
    figures.note(format!("a row is {:.0} bytes of JSON", text.len() as f64 / rows.len() as f64));

    let url = peers::sink()?;
    let before = Usage::of("self")?;
    let start = Instant::now();
    for rows in rows.chunks(BATCH) {
        let mut body = Vec::with_capacity(rows.len() * 256);
        for row in rows {
            serde_json::to_writer(&mut body, row)?;
            body.push(b'\n');
        }
        ureq::post(&url).send(&body)?;
    }
    let each = start.elapsed().as_secs_f64() / rows.len() as f64;
    let cpu = (Usage::of("self")?.cpu - before.cpu).as_secs_f64() / rows.len() as f64 * 1e5;
    figures.line(
        "serde_json and HTTP over loopback: a row of 5,000, both ends",
        vec![Cell::Seconds(each), Cell::Seconds(cpu)],
    );

    let folder = tempfile::tempdir_in(&bench.folder)?;
    let mut file = File::create(folder.path().join("sync"))?;
    let times: Result<Vec<Duration>, Error> = (0..200)
        .map(|_| {
            file.write_all(&[0x55; 64 << 10])?;
            let start = Instant::now();
            file.sync_data()?;
            Ok(start.elapsed())
        })
        .collect();
    let times = Times::new(times?);
    figures.line("fdatasync of 64 KiB, p50", vec![Cell::time(times.at(0.5)), Cell::None]);
    figures.line("fdatasync of 64 KiB, p99", vec![Cell::time(times.at(0.99)), Cell::None]);
    Ok(figures)
}
