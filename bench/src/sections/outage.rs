//! Memory use while the server is unreachable.

use super::{Figures, Section};
use crate::client::Job;
use crate::figures::Cell;
use crate::server::Server;
use crate::{Bench, Error};

pub(super) const SECTION: Section = Section {
    name: "outage",
    about: "memory of a program that logs while the server is unreachable, spool on",
    columns: &["memory", "rows/s"],
    run,
};

fn run(bench: &Bench) -> Result<Figures, Error> {
    let mut figures = Figures::default();
    for part in [10, 2, 1] {
        let server = Server::start(bench)?;
        let spool = tempfile::tempdir_in(&bench.folder)?;
        let rows = bench.scale.stream / part;
        let job = Job {
            spool: Some(spool.path().to_owned()),
            is_unreachable: true,
            ..Job::new(&server, "outage", rows)
        };
        drop(server);
        let outcome = job.run()?;
        let rate = Cell::rate(rows, outcome.logged);
        figures.line(format!("{rows} rows"), vec![Cell::Bytes(outcome.peak_bytes), rate]);
    }
    Ok(figures)
}
