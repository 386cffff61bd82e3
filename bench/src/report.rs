//! The report of a run: printed as it progresses, and written as JSON.

use std::path::Path;

use serde::Serialize;

use crate::figures::Line;
use crate::sections::{Figures, Section};
use crate::{Bench, Error, resources};

/// The report of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: String,
    memory_bytes: u64,
    rows: u64,
    stream_rows: u64,
    big_rows: u64,
    pub(crate) sections: Vec<SectionReport>,
}

/// The figures of a section.
#[derive(Debug, Serialize)]
pub(crate) struct SectionReport {
    pub(crate) name: &'static str,
    about: &'static str,
    columns: &'static [&'static str],
    pub(crate) lines: Vec<Line>,
    notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(bench: &Bench) -> Result<Self, Error> {
        let (machine, memory_bytes) = resources::machine();
        println!("{machine}, {} GiB of memory\n", memory_bytes >> 30);
        let scale = &bench.scale;
        Ok(Self {
            machine,
            memory_bytes,
            rows: scale.rows,
            stream_rows: scale.stream,
            big_rows: scale.big,
            sections: Vec::new(),
        })
    }

    /// Prints a section as a Markdown table, and adds it to the report.
    pub(crate) fn add(&mut self, section: &Section, figures: Figures) {
        let Figures { lines, notes } = figures;
        println!("### {}\n\n{}\n", section.name, section.about);
        println!("| | {} |", section.columns.join(" | "));
        println!("| --- |{}", " ---: |".repeat(section.columns.len()));
        for line in &lines {
            let cells: Vec<String> = line.cells.iter().map(crate::figures::Cell::show).collect();
            println!("| {} | {} |", line.what, cells.join(" | "));
        }
        println!();
        for note in &notes {
            println!("- {note}");
        }
        if !notes.is_empty() {
            println!();
        }
        let Section { name, about, columns, .. } = *section;
        self.sections.push(SectionReport { name, about, columns, lines, notes });
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(path, serde_json::to_vec_pretty(self)?)?)
    }
}
