//! What a test asks a mock afterwards.

use bytes::Bytes;
use streamtable_schema::{Media, MediaSource, Schema, TablePath, Value};
use streamtable_wire::HistoryLine;

use crate::{Arrival, MockBackend, RequestKind, StoredLine};

impl MockBackend {
    /// Returns the tables that have a run, sorted.
    pub fn tables(&self) -> Vec<TablePath> {
        self.state().runs.keys().cloned().collect()
    }

    /// Returns a table's rows in the order in which they arrived; none for a table that is not
    /// there.
    pub fn rows(&self, table: &TablePath) -> Vec<HistoryLine> {
        let lines = self.lines(table);
        let rows = lines.iter().map(|line| HistoryLine::parse(&line.text));
        rows.map(|row| row.expect("what was stored was read before")).collect()
    }

    /// Returns a table's rows as they came, each with who wrote it.
    pub fn lines(&self, table: &TablePath) -> Vec<StoredLine> {
        self.state().runs.get(table).map_or(Vec::new(), |run| run.lines().to_vec())
    }

    /// Returns the columns of what a table holds.
    pub fn schema(&self, table: &TablePath) -> Option<Schema> {
        self.state().runs.get(table).map(|run| run.schema().clone())
    }

    /// Returns the bytes of a table's file, such as an image.
    pub fn file(&self, table: &TablePath, path: &str) -> Option<Bytes> {
        self.state().runs.get(table)?.files.get(path).cloned()
    }

    /// Returns the paths of a table's files, sorted.
    pub fn files(&self, table: &TablePath) -> Vec<String> {
        let state = self.state();
        state.runs.get(table).map_or(Vec::new(), |run| run.files.keys().cloned().collect())
    }

    /// Returns the paths of the files that a table's rows name and that are not there, each once.
    pub fn missing_files(&self, table: &TablePath) -> Vec<String> {
        let mut named = Vec::new();
        for line in self.rows(table) {
            collect_files(&Value::Struct(line.row), &mut named);
        }
        named.sort();
        named.dedup();
        named.retain(|path| self.file(table, path).is_none());
        named
    }

    /// Tells whether a table's artifact is whole, so that readers find the table.
    pub fn has_artifact(&self, table: &TablePath) -> bool {
        self.state().latest_artifact(table).is_some()
    }

    /// Tells whether a client has declared a table's run ended.
    pub fn is_complete(&self, table: &TablePath) -> bool {
        self.state().runs.get(table).is_some_and(|run| run.is_complete)
    }

    /// Returns what came, in order.
    pub fn journal(&self) -> Vec<Arrival> {
        self.state().journal.clone()
    }

    /// Counts the requests of a kind that arrived.
    pub fn count(&self, kind: RequestKind) -> usize {
        self.count_arrivals(|arrival| arrival.kind == kind)
    }

    /// Counts the GraphQL requests of an operation that arrived.
    pub fn count_operation(&self, name: &str) -> usize {
        self.count_arrivals(|arrival| arrival.operation.as_deref() == Some(name))
    }

    fn count_arrivals(&self, counts: impl Fn(&Arrival) -> bool) -> usize {
        let state = self.state();
        let arrived = state.journal.iter().filter(|arrival| arrival.status.is_some());
        arrived.filter(|arrival| counts(arrival)).count()
    }

    /// Returns what clients did that the protocol does not allow, oldest first.
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// Panics with the violations and the journal if there was a violation.
    #[track_caller]
    pub fn assert_no_violations(&self) {
        let violations = self.violations();
        if !violations.is_empty() {
            let journal: Vec<String> = self.journal().iter().map(ToString::to_string).collect();
            panic!("violations:\n{}\njournal:\n{}", violations.join("\n"), journal.join("\n"));
        }
    }
}

fn collect_files(value: &Value, paths: &mut Vec<String>) {
    match value {
        Value::Media(media) => paths.extend(file_of(media)),
        Value::List(items) => items.iter().for_each(|item| collect_files(item, paths)),
        Value::Struct(row) => row.cells().for_each(|(_, value)| collect_files(value, paths)),
        _ => {}
    }
}

fn file_of(media: &Media) -> Option<String> {
    match media.source() {
        MediaSource::Stored(file) => Some(file.path.clone()),
        _ => None,
    }
}
