//! The run of a table: its rows and files.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use streamtable_schema::{ColumnPolicy, Row, Schema, Type};
use streamtable_wire::HistoryKeys;

/// A stored row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLine {
    /// The id of its writer; `None` if the row does not name one.
    pub writer: Option<String>,
    /// Its line number among its writer's lines.
    pub line: u64,
    /// The JSON of the row, byte for byte as it arrived.
    pub text: String,
}

#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Invariant: never reordered.
    lines: Vec<StoredLine>,
    /// The outcome of each line of each writer. The run itself is the writer of lines that do not
    /// name one.
    seen: HashMap<String, HashMap<u64, Seen>>,
    schema: Schema,
    pub(crate) files: BTreeMap<String, Bytes>,
    pub(crate) is_complete: bool,
}

/// The outcome of a line.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// It is stored as row number `.0`.
    Stored(usize),
    /// It was refused.
    Refused { text: String, reason: String },
}

impl Run {
    pub(crate) fn lines(&self) -> &[StoredLine] {
        &self.lines
    }

    /// Returns the columns of the rows so far: a container may be combined with anything.
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(crate) fn history_keys(&self) -> HistoryKeys {
        HistoryKeys::new(&self.schema, self.lines.len() as u64)
    }

    /// Returns the current columns, as a schema that accepts no others.
    pub(crate) fn strict_schema(&self) -> Schema {
        with_policy(&self.schema, ColumnPolicy::Strict)
    }

    pub(crate) fn seen(&self, writer: &str, line: u64) -> Option<&Seen> {
        self.seen.get(writer)?.get(&line)
    }

    /// Returns the text of an earlier line.
    pub(crate) fn text_of<'a>(&'a self, seen: &'a Seen) -> &'a str {
        match seen {
            Seen::Stored(row) => &self.lines[*row].text,
            Seen::Refused { text, .. } => text,
        }
    }

    pub(crate) fn store(&mut self, line: StoredLine, row: &Row) {
        self.widen(row);
        let writer = line.writer.clone().unwrap_or_default();
        self.seen.entry(writer).or_default().insert(line.line, Seen::Stored(self.lines.len()));
        self.lines.push(line);
    }

    /// Replaces the text of row number `place`.
    pub(crate) fn overwrite(&mut self, place: usize, text: String, row: &Row) {
        self.widen(row);
        self.lines[place].text = text;
    }

    pub(crate) fn refuse(&mut self, writer: &str, line: u64, text: String, reason: String) {
        let lines = self.seen.entry(writer.to_owned()).or_default();
        lines.insert(line, Seen::Refused { text, reason });
    }

    fn widen(&mut self, row: &Row) {
        if self.schema.policy() != ColumnPolicy::Evolve {
            self.schema = with_policy(&self.schema, ColumnPolicy::Evolve);
        }
        if self.schema.admit(row).is_err() {
            let old = self.schema.columns().iter().map(|c| (c.name.to_string(), c.ty.clone()));
            let new = row.cells().map(|(name, value)| (name.to_owned(), Type::of(value)));
            self.schema = Schema::with_columns(ColumnPolicy::Evolve, old.chain(new));
        }
    }
}

fn with_policy(schema: &Schema, policy: ColumnPolicy) -> Schema {
    let columns = schema.columns().iter().map(|column| (&column.name, column.ty.clone()));
    Schema::with_columns(policy, columns)
}
