//! Benchmarks of single hot paths: duration and instruction count.
//!
//! `cargo xtask bench --micro` times them with divan. `cargo xtask bench --instructions` lists them
//! with `paths`, and counts the instructions of `repeat PATH TIMES` with valgrind.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program prints")]

#[path = "../src/rows.rs"]
#[expect(dead_code, reason = "the other benchmarks need more kinds of rows")]
mod rows;

use std::hint::black_box;
use std::process::ExitCode;

use divan::Bencher;
use streamtable::blocking::StreamTable;
use streamtable::spool::SpoolConfig;
use streamtable::{Settings, WhenFull};
use streamtable_schema::{
    Change, ColumnPolicy, Media, MediaError, Schema, SchemaError, StoredFile, Timestamp, Type,
};
use streamtable_wire::{
    FileStreamRequest, HISTORY_FILE, HistoryLine, Logged, RowSink, history_body, write_row,
};

use rows::Sample;

type Error = Box<dyn std::error::Error>;

/// The measured operation; each call performs it once.
type Work = Box<dyn FnMut() -> Result<(), Error>>;

/// A hot path.
struct Path {
    name: &'static str,
    /// The number of repetitions when instructions are counted.
    times: u64,
    make: fn() -> Result<Work, Error>,
}

const PATHS: &[Path] = &[
    Path { name: "encode_a_typed_row", times: 2_000, make: || encode(Sample::new(7)) },
    Path { name: "encode_a_dynamic_row", times: 2_000, make: || encode(Sample::new(7).to_row()) },
    Path { name: "check_a_row", times: 2_000, make: check },
    Path { name: "unite_types", times: 2_000, make: unite },
    Path { name: "log_into_the_spool", times: 2_000, make: log },
    Path { name: "parse_a_post_of_1000_rows", times: 10, make: parse_post },
    Path { name: "read_a_line", times: 2_000, make: read_line },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["paths"] => {
            PATHS.iter().for_each(|path| println!("{} {}", path.name, path.times));
            Ok(())
        }
        ["repeat", path, times] => repeat(path, times),
        _ => {
            divan::main();
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("micro: {error}");
            ExitCode::FAILURE
        }
    }
}

// One call is shorter than the resolution of the clock.
#[divan::bench(args = PATHS.iter().map(|path| path.name), sample_size = 32, max_time = 2)]
fn path(bencher: Bencher<'_, '_>, name: &str) {
    let mut work = find(name).and_then(|path| (path.make)()).expect("the path exists");
    bencher.bench_local(|| work().expect("the first call has succeeded"));
}

fn repeat(name: &str, times: &str) -> Result<(), Error> {
    let mut work = (find(name)?.make)()?;
    for _ in 0..times.parse::<u64>()? {
        work()?;
    }
    Ok(())
}

fn find(name: &str) -> Result<&'static Path, Error> {
    let found = PATHS.iter().find(|path| path.name == name);
    found.ok_or_else(|| format!("unknown path {name:?}").into())
}

/// Collects the columns of a row.
#[derive(Default)]
struct Cells(Vec<(String, Type)>);

impl RowSink for Cells {
    fn cell(&mut self, column: &str, ty: &Type) -> Result<(), SchemaError> {
        self.0.push((column.to_owned(), ty.clone()));
        Ok(())
    }

    fn media(&mut self, media: &Media) -> Result<(Media, StoredFile), MediaError> {
        unreachable!("{media:?} in a row without media")
    }
}

/// Counts the cells of a row.
struct Count(usize);

impl RowSink for Count {
    fn cell(&mut self, column: &str, ty: &Type) -> Result<(), SchemaError> {
        black_box((column, ty));
        self.0 += 1;
        Ok(())
    }

    fn media(&mut self, media: &Media) -> Result<(Media, StoredFile), MediaError> {
        unreachable!("{media:?} in a row without media")
    }
}

const LOGGED: Logged<'static> =
    Logged { writer: "0123456789abcdef", at: Timestamp::from_millis(1_700_000_000_000) };

fn line(i: u64, cells: &mut impl RowSink) -> Result<String, Error> {
    let mut line = Vec::new();
    write_row(&Sample::new(i), LOGGED, &mut line, cells)?;
    Ok(String::from_utf8(line)?)
}

fn encode(row: impl serde::Serialize + 'static) -> Result<Work, Error> {
    let mut line = Vec::new();
    Ok(Box::new(move || {
        line.clear();
        let mut count = Count(0);
        write_row(black_box(&row), LOGGED, &mut line, &mut count)?;
        black_box((&line, count.0));
        Ok(())
    }))
}

/// Checks a row against a table that already has its columns.
fn check() -> Result<Work, Error> {
    let (mut schema, mut change) = (Schema::new(ColumnPolicy::Strict), Change::default());
    let mut cells = Cells::default();
    for i in 0..2 {
        cells.0.clear();
        line(i, &mut cells)?;
        check_once(&schema, &mut change, &cells)?;
        schema.apply(&mut change);
    }
    Ok(Box::new(move || {
        check_once(&schema, &mut change, black_box(&cells))?;
        black_box(change.is_empty());
        Ok(())
    }))
}

fn check_once(schema: &Schema, change: &mut Change, cells: &Cells) -> Result<(), SchemaError> {
    let mut check = schema.check(change);
    for (name, ty) in &cells.0 {
        check.cell(name, ty)?;
    }
    check.finish()
}

/// Unites the types of two nested cells that differ in one field.
fn unite() -> Result<Work, Error> {
    let nested = |last: Type| {
        let point = Type::fields([("x", Type::Float), ("y", Type::Float)]);
        Type::fields([("points", Type::list(point)), ("label", Type::String), ("last", last)])
    };
    let (one, other) = (nested(Type::Int), nested(Type::String));
    Ok(Box::new(move || {
        black_box(black_box(&one).unite(black_box(&other)));
        Ok(())
    }))
}

/// Encodes, checks and journals a row on disk, as `log` does, without a server.
fn log() -> Result<Work, Error> {
    let folder = tempfile::tempdir()?;
    let dir = Some(folder.path().to_owned());
    let table = StreamTable::builder("bench/speed/micro")
        .settings(Settings::default())
        .offline(SpoolConfig { dir, max_bytes: 16 << 30, ..SpoolConfig::default() })
        .when_full(WhenFull::Refuse)
        .print_url(false)
        .open_blocking()?;
    let rows = [Sample::new(6), Sample::new(7)];
    let mut i = 0;
    Ok(Box::new(move || {
        let _kept = &folder;
        i ^= 1;
        table.log(black_box(&rows[i]))?;
        Ok(())
    }))
}

fn parse_post() -> Result<Work, Error> {
    let lines: Result<Vec<String>, Error> = (0..1_000).map(|i| line(i, &mut Count(0))).collect();
    let body = history_body(0, lines?);
    Ok(Box::new(move || {
        let request = FileStreamRequest::parse(black_box(&body))?;
        black_box(request.files[HISTORY_FILE].content.len());
        Ok(())
    }))
}

fn read_line() -> Result<Work, Error> {
    let line = line(7, &mut Count(0))?;
    Ok(Box::new(move || {
        black_box(HistoryLine::parse(black_box(&line))?);
        Ok(())
    }))
}
