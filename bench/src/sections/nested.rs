//! Lists and structs, compared with the same values in columns of their own.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{Figures, Section};
use crate::figures::Cell;
use crate::server::Server;
use crate::{Bench, Error};

/// Number of runs of each query, of which the best is reported.
const TIMES: usize = 7;

/// Number of values in a row.
const VALUES: usize = 8;

/// Rows per request.
const ROWS: u64 = 10_000;

pub(super) const SECTION: Section = Section {
    name: "nested",
    about: "the same eight numbers of a row as columns, as a struct and as a list; ratios to columns",
    columns: &[
        "append",
        "ratio",
        "flush",
        "ratio",
        "Parquet",
        "ratio",
        "aggregates of two",
        "ratio",
        "all values",
        "ratio",
    ],
    run,
};

/// How the values of a row are stored.
struct Form {
    name: &'static str,
    row: fn(&[String]) -> String,
    /// The first and the last value in SQL.
    values: [&'static str; 2],
}

const FORMS: [Form; 3] = [
    Form { name: "columns", row: |values| fields(values), values: ["f0", "f7"] },
    Form {
        name: "struct",
        row: |values| format!(r#"{{"s":{}}}"#, fields(values)),
        values: ["s['f0']", "s['f7']"],
    },
    Form {
        name: "list",
        row: |values| format!(r#"{{"v":[{}]}}"#, values.join(",")),
        values: ["v[1]", "v[8]"],
    },
];

fn fields(values: &[String]) -> String {
    let fields = values.iter().enumerate().map(|(i, value)| format!(r#""f{i}":{value}"#));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

/// The measurements of a form.
struct Measured {
    append: Duration,
    flush: Duration,
    bytes: u64,
    two: Duration,
    all: Duration,
}

fn run(bench: &Bench) -> Result<Figures, Error> {
    let mut figures = Figures::default();
    let mut first: Option<Measured> = None;
    for form in &FORMS {
        let measured = measure(bench, form)?;
        let base = first.as_ref().unwrap_or(&measured);
        let times = |of: fn(&Measured) -> Duration| {
            let (own, base) = (of(&measured), of(base));
            [Cell::time(own), Cell::Times(own.as_secs_f64() / base.as_secs_f64())]
        };
        let bytes = Cell::Times(measured.bytes as f64 / base.bytes as f64);
        let mut cells = Vec::new();
        cells.extend(times(|it| it.append));
        cells.extend(times(|it| it.flush));
        cells.extend([Cell::Bytes(measured.bytes), bytes]);
        cells.extend(times(|it| it.two));
        cells.extend(times(|it| it.all));
        figures.line(form.name, cells);
        first.get_or_insert(measured);
    }
    figures.note(format!("{} rows in requests of {ROWS} JSON lines", bench.scale.rows));
    Ok(figures)
}

fn measure(bench: &Bench, form: &Form) -> Result<Measured, Error> {
    let mut server = Server::start(bench)?;
    let table = format!("speed/{}", form.name);
    let mut append = Duration::ZERO;
    let rows: Vec<u64> = (0..bench.scale.rows).collect();
    for rows in rows.chunks(ROWS as usize) {
        let lines = rows.iter().map(|&row| (form.row)(&values(row)));
        let body = lines.collect::<Vec<_>>().join("\n");
        let start = Instant::now();
        server.post(&table, body.as_bytes())?;
        append += start.elapsed();
    }
    let start = Instant::now();
    server.restart()?;
    let flush = start.elapsed().saturating_sub(server.start);
    let bytes = parquet_bytes(&server.table_folder(&format!("bench/{table}")))?;
    let [a, b] = form.values;
    let two =
        best(&server, &format!("select avg({a}), max({b}) from bench.speed.\"{}\"", form.name))?;
    let all = best(&server, &format!("select * from bench.speed.\"{}\"", form.name))?;
    Ok(Measured { append, flush, bytes, two, all })
}

/// Returns the values of a row as JSON.
fn values(row: u64) -> Vec<String> {
    let value = |i: u64| {
        let mixed = (row * VALUES as u64 + i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        format!("{:?}", mixed as f64 / 1e6)
    };
    (0..VALUES as u64).map(value).collect()
}

fn best(server: &Server, sql: &str) -> Result<Duration, Error> {
    let mut best = Duration::MAX;
    for _ in 0..TIMES {
        let start = Instant::now();
        server.query(sql)?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}

fn parquet_bytes(folder: &Path) -> Result<u64, Error> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|it| it == "parquet") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}
