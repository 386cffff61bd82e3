//! What is measured.

mod call;
mod end_to_end;
mod floors;
mod growth;
mod ingest;
mod live;
mod outage;
mod peers;
mod queries;

use crate::figures::{Cell, Line};
use crate::{Bench, Error};

/// One table of the report.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The heads of the columns behind the first, which says what was measured.
    pub(crate) columns: &'static [&'static str],
    pub(crate) run: fn(&Bench) -> Result<Figures, Error>,
}

/// Every section, in the order in which they run.
pub(crate) const SECTIONS: &[Section] = &[
    floors::SECTION,
    call::SECTION,
    end_to_end::SECTION,
    peers::SECTION,
    outage::SECTION,
    ingest::SECTION,
    live::SECTION,
    growth::SECTION,
    queries::SECTION,
];

/// What a section found.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) lines: Vec<Line>,
    /// What a reader must know, and what was not measured.
    pub(crate) notes: Vec<String>,
}

impl Figures {
    fn line(&mut self, what: impl Into<String>, cells: Vec<Cell>) {
        self.lines.push(Line { what: what.into(), cells });
    }

    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}
