//! Access to the mock's state, for tests.

use bytes::Bytes;
use streamtable_schema::{Media, MediaSource, Schema, TablePath, Value};
use streamtable_wire::HistoryLine;

use crate::{Arrival, MockBackend, RequestKind, StoredLine};

impl MockBackend {
    /// Returns the tables that have a run, sorted.
    pub fn tables(&self) -> Vec<TablePath> {
        self.state().runs.keys().cloned().collect()
    }

    /// Returns a table's rows in the order in which they arrived; none if the table does not exist.
    pub fn rows(&self, table: &TablePath) -> Vec<HistoryLine> {
        let lines = self.lines(table);
        let rows = lines.iter().map(|line| HistoryLine::parse(&line.text));
        rows.map(|row| row.expect("what was stored was read before")).collect()
    }

    /// Returns a table's rows as they arrived, each with its writer.
    pub fn lines(&self, table: &TablePath) -> Vec<StoredLine> {
        self.state().runs.get(table).map_or(Vec::new(), |run| run.lines().to_vec())
    }

    /// Returns the columns of a table's rows.
    pub fn schema(&self, table: &TablePath) -> Option<Schema> {
        self.state().runs.get(table).map(|run| run.schema().clone())
    }

    /// Returns the bytes of a file of a table, for example an image.
    pub fn file(&self, table: &TablePath, path: &str) -> Option<Bytes> {
        self.state().runs.get(table)?.files.get(path).cloned()
    }

    /// Returns the paths of a table's files, sorted.
    pub fn files(&self, table: &TablePath) -> Vec<String> {
        let state = self.state();
        state.runs.get(table).map_or(Vec::new(), |run| run.files.keys().cloned().collect())
    }

    /// Returns the paths of the files that a table's rows refer to and that do not exist, each
    /// once.
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

    /// Returns whether a table's artifact is committed, so that readers find the table.
    pub fn has_artifact(&self, table: &TablePath) -> bool {
        self.state().latest_artifact(table).is_some()
    }

    /// Returns whether a client has finished a table's run.
    pub fn is_complete(&self, table: &TablePath) -> bool {
        self.state().runs.get(table).is_some_and(|run| run.is_complete)
    }

    /// Returns the requests in order.
    pub fn journal(&self) -> Vec<Arrival> {
        self.state().journal.clone()
    }

    /// Returns the number of requests of a kind that arrived.
    pub fn count(&self, kind: RequestKind) -> usize {
        self.count_arrivals(|arrival| arrival.kind == kind)
    }

    /// Returns the number of GraphQL requests with an operation name that arrived.
    pub fn count_operation(&self, name: &str) -> usize {
        self.count_arrivals(|arrival| arrival.operation.as_deref() == Some(name))
    }

    fn count_arrivals(&self, counts: impl Fn(&Arrival) -> bool) -> usize {
        let state = self.state();
        let arrived = state.journal.iter().filter(|arrival| arrival.status.is_some());
        arrived.filter(|arrival| counts(arrival)).count()
    }

    /// Returns the violations of the protocol, oldest first.
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// Panics with the violations and the journal if there is a violation.
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
