//! The same value gives the same result through every client and every reader.
//!
//! `tests/values/kinds.json` has the kinds of values: what is stored (`value`, as a history line has it), how
//! paths write it that have a form of their own (`csv`, `arrow`, `python`), and what readers show that do not
//! show it as it is stored (`shown` in JSON, `csv_shown`). Each table gets a row of every kind through every
//! path, the first one through another path for each table. `crates/python/tests/test_matrix.py` has the
//! Python paths and readers.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use serde::Deserialize;
use serde_json::value::RawValue;
use streamtable::{ColumnPolicy, StreamTable};
use streamtable_format::{ARROW_STREAM_TYPE, Input, Item, Options, Source};
use streamtable_schema::{Row, Type, Value};
use streamtable_transport_hyper::HyperTransport;
use streamtable_wire::binary::{BINARY_ROWS_TYPE, BodyWriter, write_line};
use streamtable_wire::{HistoryLine, read_cell, read_cells};

use crate::support::{Running, basic, send};

const KINDS: &str = include_str!("../../../../tests/values/kinds.json");

/// A kind of value.
#[derive(Clone, Debug, Deserialize)]
struct Kind {
    kind: String,
    value: String,
    shown: Option<String>,
    csv: Option<String>,
    csv_shown: Option<String>,
    arrow: Option<(String, serde_json::Value)>,
}

impl Kind {
    fn value(&self) -> Value {
        read_cell(&self.value).unwrap_or_else(|error| panic!("{}: {error}", self.kind))
    }

    /// Returns the value in a result in JSON.
    fn shown(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.value)
    }

    /// Returns the value in a result in CSV.
    fn csv_shown(&self) -> String {
        match (&self.csv_shown, serde_json::from_str::<String>(self.shown())) {
            (Some(shown), _) => shown.clone(),
            (None, Ok(text)) => text,
            (None, Err(_)) if self.value == "null" => String::new(),
            (None, Err(_)) => self.shown().to_owned(),
        }
    }

    fn array(&self) -> Option<ArrayRef> {
        let (ty, value) = self.arrow.as_ref()?;
        let ty: DataType = ty.parse().unwrap_or_else(|error| panic!("{}: {error}", self.kind));
        if let serde_json::Value::String(text) = value {
            let text: ArrayRef = Arc::new(StringArray::from(vec![text.as_str()]));
            let array = match &ty {
                // Parsed as the instant, whatever the zone of the column.
                DataType::Timestamp(unit, Some(_)) => cast(
                    &cast(&text, &DataType::Timestamp(*unit, Some("UTC".into()))).unwrap(),
                    &ty,
                ),
                ty => cast(&text, ty),
            };
            return Some(array.unwrap_or_else(|error| panic!("{}: {error}", self.kind)));
        }
        let schema = Arc::new(Schema::new(vec![Field::new("c", ty, true)]));
        let mut decoder = arrow::json::ReaderBuilder::new(schema).build_decoder().unwrap();
        decoder.serialize(&[serde_json::json!({ "c": value })]).unwrap();
        Some(Arc::clone(decoder.flush().unwrap().unwrap().column(0)))
    }
}

/// A way by which rows enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    Client,
    JsonFile,
    CsvFile,
    ParquetFile,
    ArrowFile,
    ArrowBody,
    BinaryBody,
    CurlArray,
    CurlLines,
    Sdk,
    Weave,
}

use Path::{
    ArrowBody, ArrowFile, BinaryBody, Client, CsvFile, CurlArray, CurlLines, JsonFile, ParquetFile,
    Sdk, Weave,
};

const PATHS: [Path; 11] = [
    Client,
    JsonFile,
    CsvFile,
    ParquetFile,
    ArrowFile,
    ArrowBody,
    BinaryBody,
    CurlArray,
    CurlLines,
    Sdk,
    Weave,
];

impl Path {
    /// Returns whether the path can express a kind of value.
    fn has(self, kind: &Kind) -> bool {
        match self {
            CsvFile => kind.csv.is_some(),
            ParquetFile | ArrowFile | ArrowBody => kind.arrow.is_some(),
            _ => true,
        }
    }
}

/// Readers, each of which returns the rows of a table.
const READERS: [&str; 7] = ["tail", "json", "ndjson", "csv", "arrow", "parquet", "history"];

struct Matrix {
    server: Running,
    kinds: Vec<Kind>,
    folder: tempfile::TempDir,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the number of combinations is what the test reports")]
async fn all_paths_and_readers_agree_on_all_kinds_of_values() {
    let kinds: Vec<Kind> = serde_json::from_str(KINDS).unwrap();
    assert!(kinds.len() >= 40);
    let server = Running::start().await;
    let matrix = Matrix { server, kinds, folder: tempfile::tempdir().unwrap() };
    let start = Instant::now();
    let mut faults = Vec::new();
    let (mut tables, mut cells) = (0, 0);
    for first in PATHS {
        for policy in [ColumnPolicy::Strict, ColumnPolicy::Evolve] {
            let table = format!("{first:?}{policy:?}").to_lowercase();
            let mut order = vec![first];
            order.extend(PATHS.into_iter().filter(|path| *path != first));
            matrix.server.make_run("me", "v", &table).await;
            for (place, path) in order.iter().enumerate() {
                for fault in matrix.write(*path, &table, policy, place).await {
                    faults.push(format!("{table}: {path:?}: {fault}"));
                }
            }
            tables += 1;
            let (read, found) = matrix.compare(&table, &order).await;
            cells += read;
            faults.extend(found);
            faults.extend(matrix.types(&table).await);
            if policy == ColumnPolicy::Evolve {
                matrix.mix(&table).await;
                let (read, found) = matrix.compare(&table, &order).await;
                cells += read;
                faults.extend(found.into_iter().map(|fault| format!("{fault}, once mixed")));
            }
        }
    }
    println!(
        "{cells} combinations: {} paths × {} kinds × {} readers in {tables} tables, {:.1} s",
        PATHS.len(),
        matrix.kinds.len(),
        READERS.len(),
        start.elapsed().as_secs_f64()
    );
    // The same fault in many tables is shown once.
    let mut shown: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for fault in &faults {
        let (table, fault) = fault.split_once(": ").unwrap_or(("", fault));
        shown.entry(fault).or_default().push(table);
    }
    let lines = shown
        .iter()
        .map(|(fault, tables)| format!("{fault}: {} tables, {}", tables.len(), tables[0]));
    let lines: Vec<String> = lines.take(200).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), lines.join("\n"));
}

/// Each column gets numbers, texts, lists and structs, each row through another path.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_paths_mix_lists_and_structs_with_other_kinds() {
    let all: Vec<Kind> = serde_json::from_str(KINDS).unwrap();
    let names = ["int", "list_of_ints", "text", "struct", "true", "structs_in_list"];
    let kinds = names.map(|name| all.iter().find(|kind| kind.kind == name).unwrap().clone());
    let server = Running::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut matrix = Matrix { server, kinds: Vec::new(), folder };
    let mut faults = Vec::new();
    for first in PATHS {
        for policy in [ColumnPolicy::Strict, ColumnPolicy::Evolve] {
            let table = format!("{first:?}{policy:?}").to_lowercase();
            let mut order = vec![first];
            order.extend(PATHS.into_iter().filter(|path| *path != first));
            matrix.server.make_run("me", "v", &table).await;
            for (place, path) in order.iter().enumerate() {
                matrix.kinds = turned(&kinds, place);
                for fault in matrix.write(*path, &table, policy, place).await {
                    faults.push(format!("{table}: {path:?}: {fault}"));
                }
            }
            let turned: Vec<_> = (0..order.len()).map(|place| turned(&kinds, place)).collect();
            let rows: Vec<_> =
                order.iter().copied().zip(turned.iter().map(Vec::as_slice)).collect();
            faults.extend(matrix.compare_rows(&table, &rows).await.1);
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// Returns kinds of values for the same columns, each time in another order.
fn turned(kinds: &[Kind], by: usize) -> Vec<Kind> {
    let column = |i: usize| {
        let kind = kinds[(i + by) % kinds.len()].clone();
        Kind { kind: format!("c{i}"), ..kind }
    };
    (0..kinds.len()).map(column).collect()
}

impl Matrix {
    /// Writes a row of all kinds to a place in a table, and returns why it was refused.
    async fn write(
        &self,
        path: Path,
        table: &str,
        policy: ColumnPolicy,
        place: usize,
    ) -> Vec<String> {
        let is_strict = policy == ColumnPolicy::Strict;
        let kinds = self.kinds.iter().filter(|kind| is_strict || path.has(kind));
        let cells: Vec<(&Kind, bool)> = kinds.map(|kind| (kind, path.has(kind))).collect();
        let json = || {
            let cell = |(kind, _): &(&Kind, bool)| format!("{:?}:{}", kind.kind, kind.value);
            format!("{{{}}}", cells.iter().map(cell).collect::<Vec<_>>().join(","))
        };
        let named = |name: &str| self.folder.path().join(name);
        match path {
            Client => {
                let row = cells.iter().map(|(kind, _)| (kind.kind.clone(), kind.value())).collect();
                self.log(table, policy, vec![row]).await
            }
            JsonFile => {
                std::fs::write(named("rows.json"), json()).unwrap();
                self.log(table, policy, rows_in(&named("rows.json"))).await
            }
            CsvFile => {
                let names: Vec<&str> = cells.iter().map(|(kind, _)| kind.kind.as_str()).collect();
                let texts: Vec<&str> =
                    cells.iter().map(|(kind, _)| kind.csv.as_deref().unwrap_or("")).collect();
                let text = format!("{}\n{}\n", names.join(","), texts.join(","));
                std::fs::write(named("rows.csv"), text).unwrap();
                self.log(table, policy, rows_in(&named("rows.csv"))).await
            }
            ParquetFile | ArrowFile | ArrowBody => {
                let column = |(kind, _): &(&Kind, bool)| {
                    let nothing = || arrow::array::new_null_array(&DataType::Null, 1);
                    (kind.kind.clone(), kind.array().unwrap_or_else(nothing), true)
                };
                let batch =
                    RecordBatch::try_from_iter_with_nullable(cells.iter().map(column)).unwrap();
                if path == ArrowBody {
                    let mut writer =
                        arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema())
                            .unwrap();
                    writer.write(&batch).unwrap();
                    let body = writer.into_inner().unwrap();
                    return self.post(table, policy, ARROW_STREAM_TYPE, body).await;
                }
                let file = named(if path == ParquetFile { "rows.parquet" } else { "rows.arrow" });
                let out = std::fs::File::create(&file).unwrap();
                if path == ParquetFile {
                    let mut writer =
                        parquet::arrow::ArrowWriter::try_new(out, batch.schema(), None).unwrap();
                    writer.write(&batch).unwrap();
                    writer.close().unwrap();
                } else {
                    let mut writer =
                        arrow::ipc::writer::FileWriter::try_new(out, &batch.schema()).unwrap();
                    writer.write(&batch).unwrap();
                    writer.finish().unwrap();
                }
                self.log(table, policy, rows_in(&file)).await
            }
            BinaryBody => {
                let row = cells.iter().map(|(kind, _)| (kind.kind.clone(), kind.value())).collect();
                let (mut line, mut body) = (Vec::new(), BodyWriter::default());
                write_line(&HistoryLine { row, ..HistoryLine::default() }, &mut line).unwrap();
                body.push(&line).unwrap();
                self.post(table, policy, BINARY_ROWS_TYPE, body.into_bytes()).await
            }
            CurlArray | CurlLines => {
                let body = if path == CurlArray { format!("[\n {}\n]", json()) } else { json() };
                self.post(table, policy, "application/x-ndjson", body.into_bytes()).await
            }
            Sdk | Weave => {
                let line = match path {
                    Sdk => {
                        // History is in the order of steps; rows without one have their positions.
                        let added =
                            format!(r#"{{"_step":{place},"_runtime":0.5,"_timestamp":1.5,"#);
                        json().replacen('{', &added, 1)
                    }
                    _ => json().replacen(
                        '{',
                        concat!(
                            r#"{"_client_id":"weave","_timestamp":1600000000.25,"timestamp":"#,
                            r#"{"_type":"_wt_::{\"type\": \"timestamp\"}","_val":1600000000251},"#
                        ),
                        1,
                    ),
                };
                let body = serde_json::json!({ "files": { "wandb-history.jsonl": {
                    "offset": 0, "content": [line] } } });
                let is_async = [("x-wandb-use-async-filestream", "true"), columns(policy)];
                let headers: &[_] = if path == Sdk { &[] } else { &is_async };
                let at = format!("me/v/{table}");
                let answer = self.server.post(&at, headers, &body.to_string()).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                refused(&answer.json()["rejected"])
            }
        }
    }

    /// Posts rows to the native API.
    async fn post(
        &self,
        table: &str,
        policy: ColumnPolicy,
        ty: &str,
        body: Vec<u8>,
    ) -> Vec<String> {
        let url = format!("{}/api/tables/me/v/{table}/rows", self.server.url);
        let auth = basic(&self.server.key);
        let headers = [("authorization", &*auth), ("content-type", ty), columns(policy)];
        let answer = send("POST", &url, &headers, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        refused(&answer.json()["rejected"])
    }

    /// Logs rows as `streamtable log` does.
    async fn log(&self, table: &str, policy: ColumnPolicy, rows: Vec<Row>) -> Vec<String> {
        let faults: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
        let rejected = Arc::clone(&faults);
        let table = StreamTable::builder(&format!("me/v/{table}"))
            .base_url(&self.server.url)
            .api_key(&self.server.key)
            .transport(HyperTransport::new().unwrap())
            .columns(policy)
            .no_spool()
            .print_url(false)
            .on_reject(move |row| rejected.lock().unwrap().push(row.reason))
            .open()
            .await
            .unwrap();
        let logged = table.log(rows).await;
        let mut found: Vec<String> = match logged {
            Ok(_) => Vec::new(),
            Err(error) => error.refused.iter().map(|row| row.reason.to_string()).collect(),
        };
        table.finish().await.unwrap();
        found.append(&mut faults.lock().unwrap());
        found
    }

    /// Compares the output of each reader with the rows that were written by some paths. Returns
    /// how many cells it compared, and which differ.
    async fn compare(&self, table: &str, order: &[Path]) -> (usize, Vec<String>) {
        let rows: Vec<_> = order.iter().map(|path| (*path, &*self.kinds)).collect();
        self.compare_rows(table, &rows).await
    }

    /// Does the same for rows of different kinds of values.
    async fn compare_rows(&self, table: &str, order: &[(Path, &[Kind])]) -> (usize, Vec<String>) {
        let (mut cells, mut faults) = (0, Vec::new());
        for reader in READERS {
            let rows = self.read(reader, table).await;
            if rows.len() < order.len() {
                faults.push(format!("{table}: {reader} shows {} rows", rows.len()));
            }
            for ((path, kinds), row) in order.iter().zip(&rows) {
                for kind in *kinds {
                    cells += 1;
                    let found = row.get(&kind.kind).map_or("null", String::as_str);
                    let expected = match path.has(kind) {
                        true => self.expected(reader, kind),
                        false if reader == "csv" => String::new(),
                        false => "null".to_owned(),
                    };
                    if found != expected {
                        let kind = &kind.kind;
                        faults.push(format!(
                            "{table}: {kind} by {path:?} is {found} in {reader}, not {expected}"
                        ));
                    }
                }
            }
        }
        (cells, faults)
    }

    /// Adds a row with another kind of value in each column, so that all columns are mixed.
    async fn mix(&self, table: &str) {
        let cell = |kind: &Kind| match kind.value() {
            Value::String(_) => format!("{:?}:1", kind.kind),
            _ => format!("{:?}:\"other\"", kind.kind),
        };
        let cells: Vec<String> = self.kinds.iter().map(cell).collect();
        self.server.append(&format!("me/v/{table}"), &format!("{{{}}}", cells.join(","))).await;
    }

    /// Returns the rows of a table as a reader shows them: each cell as text.
    async fn read(&self, reader: &str, table: &str) -> Vec<BTreeMap<String, String>> {
        if reader == "history" {
            let query = "query Q($r: String!) { project(name: \"v\", entityName: \"me\") {
                run(name: $r) { history } } }";
            let variables = serde_json::json!({ "r": table });
            let answer = self.server.ask(query, variables).await;
            let lines = answer["project"]["run"]["history"].as_array().unwrap().clone();
            let row = |line: &serde_json::Value| {
                let value = streamtable_wire::json::parse(line.as_str().unwrap()).unwrap();
                let Value::Struct(row) = value else { panic!("{line}") };
                row.into_iter()
                    .map(|(name, value)| (name.into_owned(), text_of(&read_cells(value))))
                    .collect()
            };
            return lines.iter().map(row).collect();
        }
        let (auth, url) = (basic(&self.server.key), &self.server.url);
        let answer = if reader == "tail" {
            let url = format!("{url}/api/tables/me/v/{table}/rows?from=0");
            send("GET", &url, &[("authorization", &auth)], "").await
        } else {
            let url = format!("{url}/api/query?format={reader}");
            let sql = format!("select * from me.v.\"{table}\"");
            send("POST", &url, &[("authorization", &auth)], sql).await
        };
        assert_eq!(answer.status, 200, "{reader} {table}: {}", answer.text());
        let of_json = |text: &str| -> BTreeMap<String, String> {
            let cells: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap();
            cells.into_iter().map(|(name, cell)| (name, cell.get().to_owned())).collect()
        };
        match reader {
            "tail" | "ndjson" => answer.text().lines().map(of_json).collect(),
            "json" => {
                let text = answer.text();
                let rows: Vec<Box<RawValue>> = serde_json::from_str(&text).unwrap();
                rows.iter().map(|row| of_json(row.get())).collect()
            }
            "csv" => {
                let mut lines = csv(&answer.text()).into_iter();
                let names = lines.next().unwrap();
                lines.map(|cells| names.iter().cloned().zip(cells).collect()).collect()
            }
            _ => {
                let text = |row: Row| {
                    let cells = row.into_iter();
                    cells.map(|(name, value)| (name.into_owned(), text_of(&value))).collect()
                };
                self.rows_of(reader, &answer.body).into_iter().map(text).collect()
            }
        }
    }

    /// Returns the rows of a table from a result in a format, as `streamtable log` reads them.
    async fn query(&self, format: &str, table: &str) -> Vec<Row> {
        let url = format!("{}/api/query?format={format}", self.server.url);
        let (auth, sql) = (basic(&self.server.key), format!("select * from me.v.\"{table}\""));
        let answer = send("POST", &url, &[("authorization", &auth)], sql).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.rows_of(format, &answer.body)
    }

    fn rows_of(&self, format: &str, body: &[u8]) -> Vec<Row> {
        let file = self.folder.path().join(format!("answer.{format}"));
        std::fs::write(&file, body).unwrap();
        rows_in(&file)
    }

    /// Returns what a reader shows for a kind of value.
    fn expected(&self, reader: &str, kind: &Kind) -> String {
        match reader {
            "csv" => kind.csv_shown(),
            "tail" | "json" | "ndjson" => kind.shown().to_owned(),
            _ => text_of(&kind.value()),
        }
    }

    /// Compares the types of a table's columns with those of their values.
    async fn types(&self, table: &str) -> Vec<String> {
        let schema = self.server.get(&format!("/api/tables/me/v/{table}/schema")).await.json();
        let columns = schema["columns"].as_array().unwrap();
        let types: BTreeMap<&str, &str> = columns
            .iter()
            .map(|it| (it["name"].as_str().unwrap(), it["type"].as_str().unwrap()))
            .collect();
        let wrong = self.kinds.iter().filter_map(|kind| {
            let ty = Type::of(&kind.value());
            let optional = ty.unite(&Type::Null);
            let found = types.get(kind.kind.as_str()).copied().unwrap_or("nothing");
            let is_right = [ty.to_string(), optional.to_string()].contains(&found.to_owned());
            (!is_right).then(|| format!("{table}: {} is {found}, not {ty}", kind.kind))
        });
        wrong.collect()
    }
}

fn columns(policy: ColumnPolicy) -> (&'static str, &'static str) {
    let policy = if policy == ColumnPolicy::Strict { "strict" } else { "evolve" };
    ("x-streamtable-columns", policy)
}

fn refused(rejected: &serde_json::Value) -> Vec<String> {
    let rows = rejected.as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter().map(|row| row["reason"].to_string()).collect()
}

/// Reads a file as `streamtable log` does.
fn rows_in(file: &FilePath) -> Vec<Row> {
    let mut options = Options::default();
    options.naive = Some("utc".parse().unwrap());
    let input = Input::inspect(&Source::File(file.to_owned()), &options).unwrap();
    let mut rows = Vec::new();
    input
        .read(&Arc::default(), &mut |item| {
            if let Item::Row(at, row) = item {
                rows.push(row.unwrap_or_else(|error| panic!("{at}: {error}")));
            }
            true
        })
        .unwrap();
    rows
}

fn text_of(value: &Value) -> String {
    format!("{value:?}")
}

/// Splits CSV into its cells.
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut is_quoted) = (vec![], vec![], String::new(), false);
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '"' if is_quoted && rest.peek() == Some(&'"') => cell.extend(rest.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !is_quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            other => cell.push(other),
        }
    }
    rows
}

/// The rows API reports that a `timestamp` is not used as the time of its row.
#[tokio::test]
async fn a_timestamp_that_is_no_time_is_noted() {
    let server = Running::start().await;
    let auth = basic(&server.key);
    let notes = async |table: &str, rows: &str| {
        let url = format!("{}/api/tables/me/v/{table}/rows", server.url);
        let answer = send("POST", &url, &[("authorization", &auth)], rows.to_owned()).await;
        answer.json()["notes"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(notes("times", r#"{"timestamp":"2026-01-02T03:04:05Z","n":1}"#).await, 0);
    assert_eq!(notes("times", r#"{"timestamp":null,"n":1}{"n":2}"#).await, 0);
    assert_eq!(notes("own", r#"{"timestamp":1767323045,"n":1}"#).await, 1);
    assert_eq!(notes("own", r#"{"n":2}"#).await, 0);
}

/// Random rows that are logged, read as Arrow or Parquet, and logged again are the same rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_that_are_logged_again_have_the_same_values() {
    use proptest::strategy::{Strategy, ValueTree};
    use streamtable_mock_backend::strategies::{types, value_of};

    const ROWS: usize = 300;
    let server = Running::start().await;
    let matrix = Matrix { server, kinds: Vec::new(), folder: tempfile::tempdir().unwrap() };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut columns: Vec<(String, Vec<Type>)> = Vec::new();
    while columns.len() < 12 {
        let ty = types().new_tree(&mut runner).unwrap().current();
        columns.push((format!("c{}", columns.len()), vec![ty]));
    }
    // A client refuses lists and structs next to other kinds.
    let scalars = [Type::Int, Type::Float, Type::String, Type::Bool, Type::Timestamp, Type::Null];
    columns.push(("mixed".to_owned(), scalars.to_vec()));
    let rows: Vec<Row> = (0..ROWS)
        .map(|i| {
            let cell = |(name, types): &(String, Vec<Type>)| {
                let strategy = value_of(&types[i % types.len()]).prop_filter("range", is_in_range);
                (name.clone(), strategy.new_tree(&mut runner).unwrap().current())
            };
            columns.iter().map(cell).collect()
        })
        .collect();
    let faults = matrix.log("first", ColumnPolicy::Evolve, rows.clone()).await;
    assert_eq!(faults, [] as [&str; 0]);
    let mut expected = matrix.read("tail", "first").await;
    for (again, reader) in [("first", "arrow"), ("arrow", "parquet")] {
        let read = matrix.query(reader, again).await;
        let faults = matrix.log(reader, ColumnPolicy::Evolve, read.clone()).await;
        assert_eq!(faults, [] as [&str; 0]);
        for (i, (row, read)) in rows.iter().zip(&read).enumerate() {
            for (name, _) in &columns {
                let [logged, read] = [row, read].map(|row| text_of(&row[name.as_str()]));
                assert_eq!(as_one_number(&read), as_one_number(&logged), "{name} of row {i}");
            }
        }
        let mut found = matrix.read("tail", reader).await;
        assert_eq!(found.len(), ROWS);
        // Each cell of JSON, with the times of the rows.
        for row in found.iter_mut().chain(&mut expected) {
            for own in ["_position", "_writer", "_line"] {
                row.remove(own);
            }
            row.retain(|_, cell| cell != "null");
            row.values_mut().for_each(|cell| *cell = as_one_number(cell));
        }
        assert_eq!(found, expected, "{reader}");
    }
}

/// Returns a text without the difference between an integer and a float of the same value, alone, in a
/// list or in a field: a column that has both has floats in SQL, and so do stored lists and fields.
fn as_one_number(text: &str) -> String {
    let number = |text: &str| match text.parse::<f64>() {
        Ok(number) if text.len() < 24 => format!("{number:?}"),
        _ => text.to_owned(),
    };
    let is_end = |c: char| matches!(c, '[' | ']' | '{' | '}' | ',' | ':');
    let piece = |piece: &str| match piece.strip_suffix(is_end) {
        Some(cell) => number(cell.trim()) + &piece[cell.len()..],
        None => number(piece.trim()),
    };
    text.split_inclusive(is_end).map(piece).collect()
}

/// Returns whether all instants are in the years that Arrow's readers accept: 1 to 9999.
fn is_in_range(value: &Value) -> bool {
    match value {
        Value::Timestamp(at) => streamtable_schema::row_time_of_text(&at.to_string()).is_some(),
        Value::List(items) => items.iter().all(is_in_range),
        Value::Struct(row) => row.cells().all(|(_, value)| is_in_range(value)),
        _ => true,
    }
}
