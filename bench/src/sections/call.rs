//! Duration of a call of `log`.

use super::{Figures, Section};
use crate::client::{Form, Job};
use crate::figures::Cell;
use crate::server::Server;
use crate::{Bench, Error};

pub(super) const SECTION: Section = Section {
    name: "call",
    about: "the duration of one `log` while rows are sent to the StreamTable server in the background",
    columns: &["p50", "p99", "p99.9", "until the last call returned"],
    run,
};

fn run(bench: &Bench) -> Result<Figures, Error> {
    let server = Server::start(bench)?;
    let spool = tempfile::tempdir_in(&bench.folder)?;
    let mut figures = Figures::default();
    let cases = [
        ("a typed row, rows in memory", Form::Typed, false, 1),
        ("a `Row`, rows in memory", Form::Dynamic, false, 1),
        ("a typed row, spool on", Form::Typed, true, 1),
        ("a `Row`, spool on", Form::Dynamic, true, 1),
        ("a typed row of 100 in a call, spool on", Form::Typed, true, 100),
    ];
    for (i, (what, form, has_spool, per_call)) in cases.into_iter().enumerate() {
        let outcome = Job {
            form,
            per_call,
            spool: has_spool.then(|| spool.path().to_owned()),
            is_timed: true,
            ..Job::new(&server, &format!("call_{i}"), bench.scale.rows)
        }
        .run()?;
        let time = Cell::Seconds;
        let cells = [outcome.p50, outcome.p99, outcome.p999, outcome.logged].map(time);
        figures.line(what, cells.into());
    }
    figures.note("each time includes two clock readings; see `clock` in the floors");
    Ok(figures)
}
