//! Planned and unplanned ends of servers and programs. `cargo xtask crash` kills programs and the
//! server repeatedly for as long as requested.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use streamtable::{RetryPolicy, StreamTable, WhenUnreachable, row};
use streamtable_transport_hyper::HyperTransport;

use crate::support::{Home, PATIENCE, finish, signal, until};

/// If this variable is set, a process of this test binary acts as a logging program. The value says
/// what it does.
const LIFE: &str = "STREAMTABLE_TEST_LIFE";

/// The URL and the API key of the program's server.
const SERVER: &str = "STREAMTABLE_TEST_SERVER";

const TABLE: &str = "me/shop/requests";

/// Starts a logging program in a home folder.
fn program(home: &Home, life: &str) -> (Child, BufReader<ChildStdout>) {
    let netrc = home.read(".netrc");
    let key = netrc.rsplit("password ").next().unwrap().trim();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "crash::logging_program"])
        .env(LIFE, life)
        .env(SERVER, format!("{} {key}", home.url.as_ref().unwrap()))
        // Enables the spool, which cargo's configuration turns off.
        .env_remove("STREAMTABLE_SPOOL")
        .env("XDG_STATE_HOME", home.path("state"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

/// Reads up to the line that starts with `word` and returns the rest of that line.
#[track_caller]
fn read_after(out: &mut impl BufRead, word: &str) -> String {
    let found = out
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix(word)?.strip_prefix(' ').map(str::to_owned));
    found.unwrap_or_else(|| panic!("the program ended without printing {word:?}"))
}

/// Not a test: the program that other tests start.
#[test]
#[ignore = "a process that other tests start"]
fn logging_program() {
    let (Ok(life), Ok(server)) = (std::env::var(LIFE), std::env::var(SERVER)) else { return };
    let (url, key) = server.split_once(' ').unwrap();
    let work = async {
        let table = StreamTable::builder(TABLE)
            .base_url(url)
            .api_key(key)
            .transport(HyperTransport::new().unwrap())
            .when_unreachable(WhenUnreachable::LogAnyway)
            .open_timeout(Duration::from_millis(500))
            .retry(RetryPolicy {
                first_delay: Duration::from_millis(10),
                max_delay: Duration::from_millis(200),
            })
            .print_url(false)
            .open()
            .await
            .unwrap();
        if let Some(rows) = life.strip_prefix("log ") {
            let rows: u64 = rows.parse().unwrap();
            for first in (0..rows).step_by(100) {
                table.log((first..first + 100).map(|n| row! { "n" => n })).await.unwrap();
            }
            print_line(format_args!("\nlogged {rows}"));
            std::future::pending::<()>().await;
        }
        print_line(format_args!("\nstats {}", table.finish().await.unwrap()));
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().unwrap().block_on(work);
}

fn print_line(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}

/// Returns the numbers in the last rows of the table, at most `most`, in table order.
fn numbers(home: &Home, most: u64) -> Vec<u64> {
    let rows = home.run(&["tail", "-n", &most.to_string(), TABLE]).ok();
    let number = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        row["n"].as_u64().unwrap()
    };
    rows.lines().map(number).collect()
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(segments(&path));
        } else if path.extension().is_some_and(|it| it == "seg") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Appends the first half of a frame to a segment, like a write interrupted by a power failure.
fn tear(segment: &Path) {
    let mut bytes = std::fs::read(segment).unwrap();
    let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let last = bytes[..end].windows(5).rposition(|it| it == b"{\"n\":").unwrap() - 16;
    let torn = bytes[last..last + (end - last) / 2].to_vec();
    bytes.splice(end..(end + torn.len()).min(bytes.len()), torn);
    std::fs::write(segment, bytes).unwrap();
}

/// A program logs rows without a server and is killed; the end of its last segment is torn. When
/// the server is up and the table is opened again, every row is stored once and in order, also
/// after the server is killed.
#[test]
fn rows_of_a_killed_program_are_delivered_once_and_in_order() {
    const ROWS: u64 = 100_000;
    let mut home = Home::new();
    let server = home.serve(&[]);
    let addr = home.url.clone().unwrap().replace("http://", "");
    server.stop();

    let (mut dead, mut out) = program(&home, &format!("log {ROWS}"));
    assert_eq!(read_after(&mut out, "logged"), ROWS.to_string());
    dead.kill().unwrap();
    dead.wait().unwrap();
    tear(segments(&home.path("state")).last().unwrap());

    let server = home.serve(&["--addr", &addr]);
    let (mut next, mut out) = program(&home, "finish");
    let stats = read_after(&mut out, "stats");
    let recovered = format!("recovered: {ROWS} found, {ROWS} acked, 0 pending, 0 rejected");
    assert!(stats.ends_with(&recovered), "{stats}");
    assert!(next.wait().unwrap().success());
    assert_eq!(segments(&home.path("state")), [""; 0].map(PathBuf::from));

    assert!(numbers(&home, ROWS + 1).into_iter().eq(0..ROWS));
    drop(server);
    let _server = home.serve(&["--addr", &addr]);
    assert!(numbers(&home, ROWS + 1).into_iter().eq(0..ROWS));
}

/// A server stops cleanly and within a time limit while rows are being logged, and has stored every
/// acknowledged row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_server_has_stored_every_acked_row() {
    let mut home = Home::new();
    let server = home.serve(&[]);
    let addr = home.url.clone().unwrap().replace("http://", "");
    let netrc = home.read(".netrc");
    let table = StreamTable::builder(TABLE)
        .base_url(home.url.as_ref().unwrap())
        .api_key(netrc.rsplit("password ").next().unwrap().trim())
        .transport(HyperTransport::new().unwrap())
        .no_spool()
        .drop_timeout(Duration::ZERO)
        .print_url(false)
        .open()
        .await
        .unwrap();
    let logging = tokio::spawn({
        let table = table.clone();
        async move {
            for n in 0_u64.. {
                // An error means that memory is full, long after the server has stopped.
                if table.log(row! { "n" => n }).await.is_err() {
                    break;
                }
                if n % 100 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
    });
    let start = Instant::now();
    while table.stats().acked < 1000 {
        assert!(start.elapsed() < PATIENCE, "too few rows were acked");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let start = Instant::now();
    let ended = tokio::task::spawn_blocking(move || server.stop()).await.unwrap();
    let time = start.elapsed();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(time < Duration::from_secs(10), "it took {time:?}");
    let acked = table.stats().acked;
    logging.abort();
    let _ = logging.await;
    drop(table);

    let _server = home.serve(&["--addr", &addr]);
    let stored =
        tokio::task::spawn_blocking(move || numbers(&home, u32::MAX.into())).await.unwrap();
    assert!(stored.len() as u64 >= acked, "{} rows of {acked}", stored.len());
    assert!(stored.into_iter().enumerate().all(|(i, n)| n == i as u64));
}

/// A second signal stops the server even if a request is still open.
#[test]
fn a_second_signal_stops_the_server_at_once() {
    let mut home = Home::new();
    home.serve(&[]).stop();
    let mut child =
        home.command(&["serve", "--data", "data", "--addr", "127.0.0.1:0"]).spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let addr = line.trim().rsplit_once("http://").unwrap().1.to_owned();
    std::thread::spawn(move || out.read_to_string(&mut String::new()));
    let mut held = TcpStream::connect(&addr).unwrap();
    // With a key: without one, the request is rejected before the body is awaited.
    let netrc = home.read(".netrc");
    let key = netrc.split_whitespace().skip_while(|word| *word != "password").nth(1).unwrap();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: {addr}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    );
    held.write_all(head.as_bytes()).unwrap();
    let mut asked = [0; 25];
    held.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    let start = Instant::now();
    signal(&child, "TERM");
    until("the server accepts no more connections", || TcpStream::connect(&addr).is_err());
    assert!(child.try_wait().unwrap().is_none(), "the server must wait for the open request");
    signal(&child, "TERM");
    let ended = finish(child);
    assert_eq!(ended.code, Some(130), "{}", ended.err);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}
