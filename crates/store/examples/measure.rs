//! Measures the store: rows in, memory while they come, start, queries.
//!
//! ```text
//! cargo run --release -p streamtable-store --example measure -- FOLDER [ROWS]
//! ```
//!
//! Prints one line a figure. What compares is in the same run: the queries are also printed as SQL
//! over the files at rest, for `crates/store/examples/measure_duckdb.py`.
#![expect(clippy::print_stdout, reason = "an example talks to people")]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use streamtable_schema::{ColumnPolicy, Timestamp};
use streamtable_store::{Batch, EmbeddedStore, Numbering, Query, Store, StoreConfig};

/// Rows that come in one batch.
const BATCH: u64 = 10_000;

/// What is asked: a name, and SQL over the table `t`.
const QUERIES: &[(&str, &str)] = &[
    ("count", "select count(*) from t"),
    (
        "filtered top 100",
        "select id, latency, path, score from t where latency > 900 order by score desc limit 100",
    ),
    ("newest 100", "select id, latency, path from t order by timestamp desc limit 100"),
    ("group by", "select path, count(*), avg(latency), max(score) from t group by path"),
    (
        "time buckets",
        "select date_trunc('minute', timestamp) as minute, count(*), avg(latency) from t \
         group by minute order by minute",
    ),
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or("give a folder")?;
    let rows: u64 = args.next().map_or(Ok(10_000_000), |rows| rows.parse())?;
    let config = || StoreConfig::new(&folder);

    let store = EmbeddedStore::open(config()).await?;
    let (start, mut peak, mut done) = (Instant::now(), 0, 0);
    while done < rows {
        let count = BATCH.min(rows - done);
        store.append(batch(done, count)?).await?;
        done += count;
        if done % (BATCH * 20) == 0 {
            peak = peak.max(resident()?);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("ingest: {:.0} rows/s, durable, one batch after the other", rows as f64 / seconds);
    println!("memory while rows came: {} MiB at most", peak >> 20);
    store.close().await?;
    drop(store);

    let start = Instant::now();
    let store = EmbeddedStore::open(config()).await?;
    println!("start: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    for (name, sql) in QUERIES {
        let (first, best, answered) = ask(&store, sql).await?;
        println!("query {name}: first {first:.1} ms, best of 7 {best:.1} ms, {answered} rows");
    }
    println!("memory behind the queries: {} MiB", resident()? >> 20);
    store.close().await?;
    println!("bytes a row at rest: {:.1}", at_rest(Path::new(&folder))? as f64 / rows as f64);
    Ok(())
}

/// Ten mixed columns, about 220 bytes a row.
fn batch(first: u64, count: u64) -> Result<Batch, Box<dyn Error>> {
    let lines = (first..first + count).map(|i| {
        // Mixed well enough for columns that do not follow from one another.
        let mix = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        let at = 1_700_000_000.0 + i as f64 * 1e-3;
        Bytes::from(format!(
            concat!(
                r#"{{"id":{},"path":"/api/{}","latency":{}.{},"score":0.{:06},"size":{},"ok":{},"#,
                r#""agent":"agent-{:08x}","note":"request {} of session {:06}","ratio":{}.25,"#,
                r#""mixed":{},"_timestamp":{:.6}}}"#
            ),
            i,
            mix % 40,
            mix % 1000,
            mix % 7,
            mix % 1_000_000,
            mix % 65_536,
            mix % 13 != 0,
            mix as u32,
            i,
            mix % 100_000,
            mix % 17,
            if i % 2 == 0 { (mix % 9).to_string() } else { format!("\"m{}\"", mix % 9) },
            at,
        ))
    });
    Ok(Batch {
        table: "bench/measure/t".parse()?,
        writer: "w".to_owned(),
        first_line: first,
        lines: lines.collect(),
        numbering: Numbering::Once,
        columns: ColumnPolicy::Evolve,
        received_at: Timestamp::from_millis(1_700_000_000_000),
    })
}

/// Asks seven times: the first answer and the best, in milliseconds, and how many rows came.
async fn ask(store: &EmbeddedStore, sql: &str) -> Result<(f64, f64, usize), Box<dyn Error>> {
    let mut times = Vec::new();
    let mut answered = 0;
    for _ in 0..7 {
        let start = Instant::now();
        let query = Query {
            sql: sql.to_owned(),
            home: Some(("bench".to_owned(), "measure".to_owned())),
            entities: None,
            timeout: Duration::from_secs(60),
            positions: false,
        };
        let batches: Vec<_> = store.query(query).await?.batches.try_collect().await?;
        answered = batches.iter().map(|batch| batch.num_rows()).sum();
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let best = times.iter().copied().fold(f64::INFINITY, f64::min);
    Ok((times[0], best, answered))
}

/// The memory that this process occupies, where the system tells it.
fn resident() -> Result<u64, Box<dyn Error>> {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return Ok(0) };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib << 10)
}

fn at_rest(folder: &Path) -> Result<u64, std::io::Error> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            bytes += at_rest(&entry.path())?;
        } else if entry.path().extension().is_some_and(|extension| extension == "parquet") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}
