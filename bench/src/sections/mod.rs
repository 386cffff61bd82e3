//! The sections of the report.

mod call;
mod end_to_end;
mod floors;
mod growth;
mod history;
mod ingest;
mod live;
mod nested;
mod outage;
mod peers;
mod queries;
mod versions;

use crate::figures::{Cell, Line};
use crate::{Bench, Error};

/// A section of the report, which is one table.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Headings of the columns after the first, which names the subject.
    pub(crate) columns: &'static [&'static str],
    pub(crate) run: fn(&Bench) -> Result<Figures, Error>,
}

/// All sections, in the order in which they run.
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
    nested::SECTION,
    history::SECTION,
    versions::SECTION,
];

/// The figures of a section.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) lines: Vec<Line>,
    /// Notes for the reader, including what was not measured.
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
