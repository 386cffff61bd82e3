//! Kills real processes that log over a real socket with the default spool.
//!
//! A process is this test binary started again, with an environment variable that makes it log. It
//! prints the number of each row that `log` accepted. Printed rows must be stored; rows that were
//! logged but not yet printed may be stored.
#![expect(clippy::print_stdout, reason = "the test prints figures")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use streamtable::{StreamTable, TablePath, row, spool};
use streamtable_mock_backend::{Fault, Loss, MockBackend, RequestKind};
use streamtable_schema::Value;
use streamtable_transport_hyper::HyperTransport;

use crate::support::NAME;

/// The number of kills; `STREAMTABLE_KILLS` overrides it.
const KILLS: u64 = 24;

/// The environment variable that makes a process log, with its behaviour.
const LIFE: &str = "STREAMTABLE_TEST_LIFE";

/// The environment variable with the server's address.
const SERVER: &str = "STREAMTABLE_TEST_SERVER";

/// The behaviour of a process.
#[derive(Clone, Copy)]
enum Life {
    /// Logs rows from this number on, until it is killed.
    Endless(u64),
    /// Logs this many rows in calls of a hundred, and waits to be killed.
    Many(u64),
    /// Delivers the rows that other processes left, then exits.
    Last,
}

/// A process that logs.
struct Program {
    child: Child,
    out: std::io::Lines<BufReader<ChildStdout>>,
    writer: String,
}

impl Program {
    fn start(life: Life, server: &str, state: &Path) -> Self {
        let life = match life {
            Life::Endless(first) => format!("endless {first}"),
            Life::Many(rows) => format!("many {rows}"),
            Life::Last => "last 0".to_owned(),
        };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "crash::a_program_that_logs"])
            .env(LIFE, life)
            .env(SERVER, server)
            // The spool is on by default.
            .env_remove("STREAMTABLE_SPOOL")
            .env("XDG_STATE_HOME", state)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut program = Self { child, out, writer: String::new() };
        program.writer = program.next("writer").expect("the program opens the table");
        program
    }

    /// Reads up to the next line that starts with this word, and returns the rest of the line.
    fn next(&mut self, word: &str) -> Option<String> {
        self.out
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix(word)?.strip_prefix(' ').map(str::to_owned))
    }

    /// Kills the process, and returns its output so far.
    fn kill(mut self) -> (String, Vec<u64>) {
        // On Unix this is SIGKILL.
        self.child.kill().unwrap();
        let mut taken = Vec::new();
        while let Some(number) = self.next("took") {
            taken.push(number.parse().unwrap());
        }
        self.child.wait().unwrap();
        (self.writer, taken)
    }
}

/// Not a test: the main function of the processes that the tests start.
#[test]
#[ignore = "other tests start it as a process"]
fn a_program_that_logs() {
    let (Ok(life), Ok(server)) = (std::env::var(LIFE), std::env::var(SERVER)) else { return };
    let (what, number) = life.split_once(' ').unwrap();
    let number: u64 = number.parse().unwrap();
    let work = async {
        let table = StreamTable::builder(NAME)
            .base_url(&server)
            .api_key("local-key")
            .transport(HyperTransport::new().unwrap())
            .quiet()
            .open()
            .await
            .unwrap();
        // Start a new line, because the test harness has printed an incomplete one.
        tell(format_args!("\nwriter {}", table.writer()));
        match what {
            "endless" => {
                for n in number.. {
                    table
                        .log(row! { "n" => n, "text" => "x".repeat(n as usize % 300) })
                        .await
                        .unwrap();
                    tell(format_args!("took {n}"));
                    if n % 50 == 0 {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                }
            }
            "many" => {
                for first in (0..number).step_by(100) {
                    table.log((first..first + 100).map(|n| row! { "n" => n })).await.unwrap();
                }
                tell(format_args!("took {number}"));
                std::future::pending::<()>().await;
            }
            _ => {
                let stats = table.finish().await.unwrap();
                tell(format_args!("stats {stats}"));
            }
        }
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().unwrap().block_on(work);
}

fn tell(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// Returns the row numbers of each writer, in stored order.
fn stored(mock: &MockBackend) -> BTreeMap<String, Vec<u64>> {
    let path: TablePath = NAME.parse().unwrap();
    let mut stored = BTreeMap::<String, Vec<u64>>::new();
    for line in mock.rows(&path) {
        let Some(Value::Int(n)) = line.row.get("n") else { panic!("{line:?}") };
        let n = u64::try_from(*n).unwrap();
        stored.entry(line.writer.clone().unwrap()).or_default().push(n);
    }
    stored
}

/// Starts a last program that delivers the rows of all others.
fn deliver(server: &str, state: &Path) {
    let mut last = Program::start(Life::Last, server, state);
    let stats = last.next("stats").expect("the last program finishes");
    println!("the last program: {stats}");
    assert!(last.child.wait().unwrap().success());
    assert_eq!(spool::list(&state.join("streamtable/spool")).unwrap(), []);
}

#[test]
fn killed_programs_lose_and_duplicate_no_rows() {
    let kills = std::env::var("STREAMTABLE_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let state = tempfile::tempdir().unwrap();
    let mock = MockBackend::default();
    let served = mock.serve("127.0.0.1:0").unwrap();
    let start = Instant::now();
    let mut ledger = Vec::new();
    // Fixed seed of the random delays.
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = move |sides: u64| {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice % sides
    };
    for kill in 0..kills {
        for _ in 0..roll(3) {
            let fault = match roll(5) {
                0 => Fault::LoseAnswer(Loss::Interrupted),
                1 => Fault::LoseRequest(Loss::Interrupted),
                2 => Fault::CutBody,
                3 => Fault::Duplicate,
                _ => Fault::retry_after(503, Duration::from_millis(500)),
            };
            mock.push_fault(RequestKind::FileStream, fault).unwrap();
        }
        let program =
            Program::start(Life::Endless(kill * 1_000_000), &served.base_url(), state.path());
        // Some processes are killed at their start, some while they deliver the rows of others.
        std::thread::sleep(Duration::from_millis(roll(300)));
        ledger.push(program.kill());
    }
    // Let delayed requests and faults finish.
    mock.settle();
    deliver(&served.base_url(), state.path());

    let mut stored = stored(&mock);
    let (mut logged, mut told) = (0, 0);
    for (kill, (writer, taken)) in (0..).zip(&ledger) {
        let rows = stored.remove(writer).unwrap_or_default();
        // In order, without duplicates, and without gaps before the last stored row.
        assert!(
            rows.iter().copied().eq((kill * 1_000_000..).take(rows.len())),
            "{writer}: {rows:?}"
        );
        assert!(rows.len() >= taken.len(), "{writer}: {} of {} rows", rows.len(), taken.len());
        logged += rows.len();
        told += taken.len();
    }
    assert!(stored.is_empty(), "rows of unknown writers: {:?}", stored.keys());
    mock.assert_no_violations();
    assert!(told > 100 * kills as usize, "only {told} rows were logged");
    let time = start.elapsed();
    println!(
        "{kills} kills in {time:.1?}: {told} rows reported, {logged} stored; 0 lost, 0 duplicated"
    );
}

#[test]
fn a_hundred_thousand_rows_survive_a_kill() {
    const ROWS: u64 = 100_000;
    let state = tempfile::tempdir().unwrap();
    let mock = MockBackend::default();
    let served = mock.serve("127.0.0.1:0").unwrap();
    // The server accepts no row of the first program.
    let busy = Fault::retry_after(503, Duration::from_secs(3600));
    mock.push_fault(RequestKind::FileStream, busy).unwrap();
    let mut program = Program::start(Life::Many(ROWS), &served.base_url(), state.path());
    program.next("took").expect("the program logs its rows");
    while mock.count(RequestKind::FileStream) == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let (writer, _) = program.kill();
    assert!(stored(&mock).is_empty());
    deliver(&served.base_url(), state.path());
    assert!(stored(&mock).remove(&writer).unwrap().into_iter().eq(0..ROWS));
    mock.assert_no_violations();
}
