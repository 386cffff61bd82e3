//! Measures the cost of the spool: the time of `log` without a spool and with each policy, and the
//! size of a row on disk.
//!
//! `cargo run --release -p streamtable --example spool_cost [FOLDER]`; the folder selects the disk.
#![expect(clippy::print_stdout, reason = "an example prints its results")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::Serialize;
use streamtable::spool::{self, SpoolConfig, SyncPolicy};
use streamtable::{Append, AppendError, Appended, Backend, Settings, StreamTable, WhenFull};

/// A row that a web server may log.
#[derive(Serialize)]
struct Request {
    path: &'static str,
    status: u16,
    ms: f64,
    user: u64,
    is_cached: bool,
}

impl Request {
    fn new(n: u64) -> Self {
        let path = ["/", "/cart", "/search", "/product/1234567"][n as usize % 4];
        Self {
            path,
            status: 200,
            ms: n as f64 * 0.37 % 1000.0,
            user: n * 7919,
            is_cached: n.is_multiple_of(3),
        }
    }
}

/// A backend that acks every row at once and stores nothing.
#[derive(Debug)]
struct Quick;

#[async_trait]
impl Backend for Quick {
    async fn append(&self, _: Append) -> Result<Appended, AppendError> {
        Ok(Appended::default())
    }
}

/// Logs `rows` rows in several calls, and returns the time of each call per row.
async fn measure(
    dir: &Path,
    sync: Option<SyncPolicy>,
    rows: u64,
    per_call: u64,
) -> Result<Vec<Duration>, Error> {
    let builder = StreamTable::builder("me/cost/requests").settings(Settings::default());
    let builder = builder.backend(Quick).when_full(WhenFull::Wait).quiet();
    let table = match sync {
        None => builder.no_spool(),
        Some(sync) => builder.spool(config(dir, sync)),
    };
    let table = table.open().await?;
    let mut times = Vec::new();
    for first in (0..rows).step_by(per_call as usize) {
        let rows: Vec<_> = (first..first + per_call).map(Request::new).collect();
        let start = Instant::now();
        table.log(rows).await?;
        times.push(start.elapsed() / per_call as u32);
    }
    table.finish().await?;
    times.sort_unstable();
    Ok(times)
}

fn config(dir: &Path, sync: SyncPolicy) -> SpoolConfig {
    SpoolConfig { dir: Some(dir.to_owned()), sync, ..SpoolConfig::default() }
}

/// Leaves rows in the spool, and returns the bytes per row: as JSON, and on disk.
async fn bytes_a_row(dir: &Path, rows: u64) -> Result<(f64, f64), Error> {
    let builder = StreamTable::builder("me/cost/requests").settings(Settings::default()).offline();
    let table = builder.spool(config(dir, SyncPolicy::Never)).open().await?;
    table.log((0..rows).map(Request::new)).await?;
    table.finish().await?;
    drop(table);
    let entry = spool::list(dir)?.remove(0);
    let mut json = 0;
    spool::export(&entry.dir, |_, text| json += text.len())?;
    // The last segment contains unused space.
    let mut on_disk = 0;
    for file in std::fs::read_dir(&entry.dir)? {
        let bytes = std::fs::read(file?.path())?;
        on_disk += bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    }
    Ok((json as f64 / rows as f64, on_disk as f64 / rows as f64))
}

type Error = Box<dyn std::error::Error>;

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<(), Error> {
    let dir = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = dir.join(format!("streamtable-spool-cost-{}", std::process::id()));
    let interval = SyncPolicy::Interval(Duration::from_secs(1));
    let policies = [
        ("off", None, 300_000, 1),
        ("on, `sync` never", Some(SyncPolicy::Never), 300_000, 1),
        ("on, `sync` interval of 1 s", Some(interval), 300_000, 1),
        ("on, `sync` always", Some(SyncPolicy::Always), 2_000, 1),
        ("off", None, 300_000, 100),
        ("on, `sync` interval of 1 s", Some(interval), 300_000, 100),
        ("on, `sync` always", Some(SyncPolicy::Always), 200_000, 100),
    ];
    println!("| spool | rows a call | p50 | p99 | p99.9 | mean |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for (name, sync, rows, per_call) in policies {
        let times = measure(&dir, sync, rows, per_call).await?;
        let at = |part: f64| times[(times.len() as f64 * part) as usize];
        let mean = times.iter().sum::<Duration>() / times.len() as u32;
        let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
        println!("| {name} | {per_call} | {p50:.1?} | {p99:.1?} | {p999:.1?} | {mean:.1?} |");
    }
    let (json, on_disk) = bytes_a_row(&dir, 100_000).await?;
    println!("a row: {json:.1} bytes of JSON, {on_disk:.1} on disk");
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}
