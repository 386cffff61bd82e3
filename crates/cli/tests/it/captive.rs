//! A captive portal, or a server that is silent, between the command and its server.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{Ended, Home, finish, signal, until};

const TABLE: &str = "me/shop/requests";

/// How a proxy treats requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It lets them through.
    Open,
    /// It answers posts of rows, and lets others through.
    AnswerRows(&'static str),
    /// It answers all.
    AnswerAll(&'static str),
    /// It answers posts of rows with a page and this status.
    AnswerRowsWithPage(u16),
    /// It reads them and never answers.
    Silent,
    /// It loses every second answer to a request that is not a post of rows.
    LoseHalf,
}

/// Answers that a client must not take for acknowledgements.
const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 49\r\n\r\n\
    <html><body>Please accept our terms</body></html>";
const FALSE_ACKS: [&str; 9] = [
    PAGE,
    // No content, an empty body, an object of W&B's server, another shape.
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
    // The answer to another request.
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n\
     {\"acked\":5,\"request\":\"r-7\"}",
    // A login page elsewhere.
    "HTTP/1.1 302 Found\r\nLocation: http://portal.invalid/\r\nContent-Length: 0\r\n\r\n",
    // A length that is too short, and a body that is not gzip.
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{}",
    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
];

/// A proxy in front of a server.
struct Portal {
    url: String,
    way: Arc<Mutex<Way>>,
    /// How many requests it answered itself, lost, or keeps waiting.
    caught: Arc<AtomicUsize>,
}

impl Portal {
    /// Starts a proxy to which commands of this home speak from now on.
    fn start(home: &mut Home, way: Way) -> Self {
        let upstream = home.url.clone().unwrap().replace("http://", "");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (way, caught) = (Arc::new(Mutex::new(way)), Arc::new(AtomicUsize::new(0)));
        let key = key(home);
        home.write(
            ".netrc",
            &format!("machine {} login user password {key}\n", url.replace("http://", "")),
        );
        let portal = Self { url: url.clone(), way: Arc::clone(&way), caught: Arc::clone(&caught) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (upstream, way) = (upstream.clone(), Arc::clone(&way));
                let caught = Arc::clone(&caught);
                // A client that goes away ends its connection.
                std::thread::spawn(move || serve(&stream?, &upstream, &way, &caught));
            }
        });
        home.url = Some(url);
        portal
    }

    fn set(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }

    fn caught(&self) -> usize {
        self.caught.load(Ordering::SeqCst)
    }
}

fn key(home: &Home) -> String {
    let netrc = home.read(".netrc");
    netrc.split_whitespace().skip_while(|word| *word != "password").nth(1).unwrap().to_owned()
}

/// Serves one request of a connection, then closes it.
fn serve(
    mut stream: &TcpStream,
    upstream: &str,
    way: &Mutex<Way>,
    caught: &AtomicUsize,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    stream.read_exact(&mut body)?;
    let is_rows = head.lines().next().unwrap_or_default().contains("file_stream");
    let way = *way.lock().unwrap();
    let catch = || caught.fetch_add(1, Ordering::SeqCst);
    match way {
        Way::AnswerAll(answer) => {
            catch();
            return stream.write_all(answer.as_bytes());
        }
        Way::AnswerRows(answer) if is_rows => {
            catch();
            return stream.write_all(answer.as_bytes());
        }
        Way::AnswerRowsWithPage(status) if is_rows => {
            catch();
            let page = PAGE.replace("200 OK", &format!("{status} Sign in"));
            return stream.write_all(page.as_bytes());
        }
        Way::Silent => {
            catch();
            return stream.read_exact(&mut byte);
        }
        Way::Open | Way::AnswerRows(_) | Way::AnswerRowsWithPage(_) | Way::LoseHalf => {}
    }
    let mut to = TcpStream::connect(upstream)?;
    let at = request.windows(2).position(|it| it == b"\r\n").unwrap();
    request.splice(at..at, *b"\r\nConnection: close");
    to.write_all(&request)?;
    to.write_all(&body)?;
    let mut answer = Vec::new();
    to.read_to_end(&mut answer)?;
    if way == Way::LoseHalf && !is_rows && catch() % 2 == 0 {
        return Ok(());
    }
    stream.write_all(&answer)
}

fn rows(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|n| format!("{{\"n\":{n}}}\n")).collect()
}

/// Checks that the table has the first rows, in their order, and no others.
#[track_caller]
fn expect_rows(home: &Home, count: u32) {
    let stored = home.run(&["query", "--format", "csv", "select n from me.shop.requests"]).ok();
    let expected: Vec<String> = (0..count).map(|n| n.to_string()).collect();
    assert_eq!(stored.lines().skip(1).collect::<Vec<_>>(), expected);
}

fn spooled(home: &Home) -> usize {
    home.run(&["spool", "export"]).ok().lines().count()
}

fn pipe(home: &Home, args: &[&str]) -> (Child, ChildStdin) {
    let mut child = home.command(args).stdin(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    (child, stdin)
}

#[track_caller]
fn says(ended: &Ended, code: i32, out: &str, err: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}{}", ended.out, ended.err);
    assert!(ended.out.contains(out), "{}", ended.out);
    for part in err {
        assert!(ended.err.contains(part), "{part:?} is not in: {}", ended.err);
    }
}

/// A portal answers posts of rows: they stay in the spool, and are stored once when it is gone.
#[test]
fn rows_that_a_portal_answers_wait_in_the_spool() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    let portal = Portal::start(&mut home, Way::Open);
    for (round, answer) in (0..).zip(FALSE_ACKS) {
        portal.set(Way::AnswerRows(answer));
        let input = rows(round * 5..round * 5 + 5);
        let logged = home.pipe(&["log", "--wait", "1", TABLE], &input);
        let host = portal.url.replace("http://", "");
        says(
            &logged,
            1,
            "5 logged, 0 acked, 5 pending, 0 rejected",
            &[
                "5 rows are not stored yet: not done within ",
                &host,
                "5 rows wait in the spool: `streamtable sync` delivers them",
            ],
        );
        if answer == PAGE {
            says(
                &logged,
                1,
                "",
                &[&format!(
                    "{host} answered 200 with text/html, which is not an acknowledgement; a proxy or \
                 captive portal may be in the way"
                )],
            );
        }
        assert!(portal.caught() > 0);
        assert_eq!(spooled(&home), 5, "{answer}");

        portal.set(Way::Open);
        assert_eq!(home.run(&["sync"]).ok(), "1 spool: 5 rows found, 5 acked, 0 rejected\n");
        assert_eq!(spooled(&home), 0);
        expect_rows(&home, round * 5 + 5);
    }
}

/// A program that goes on reports the portal, and delivers by itself when it is gone.
#[test]
fn a_portal_is_reported_while_it_lasts() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    let portal = Portal::start(&mut home, Way::AnswerRows(PAGE));
    let (log, mut stdin) = pipe(&home, &["log", TABLE]);
    stdin.write_all(rows(0..5).as_bytes()).unwrap();
    until("the portal answers", || portal.caught() > 1);
    std::thread::sleep(Duration::from_secs(6));
    portal.set(Way::Open);
    drop(stdin);
    let logged = finish(log);
    says(
        &logged,
        0,
        "5 logged, 5 acked, 0 pending",
        &["warning: rows wait and are sent again: ", "a proxy or captive portal may be in the way"],
    );
    expect_rows(&home, 5);
}

/// A page is not the server's verdict, whatever its status: no row is rejected, and the pipe is read on.
#[test]
fn pages_with_error_statuses_are_no_verdicts() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    let portal = Portal::start(&mut home, Way::Open);
    let (log, mut stdin) = pipe(&home, &["log", TABLE]);
    stdin.write_all(rows(0..1).as_bytes()).unwrap();
    // The client knows all statuses alike; see its own tests.
    for (n, status) in (1..).zip([301, 401, 404, 413]) {
        let before = portal.caught();
        portal.set(Way::AnswerRowsWithPage(status));
        stdin.write_all(rows(n..n + 1).as_bytes()).unwrap();
        until("the portal answers", || portal.caught() > before);
        portal.set(Way::Open);
        until("the row is stored", || spooled(&home) == 0);
    }
    drop(stdin);
    says(&finish(log), 0, "5 logged, 5 acked, 0 pending, 0 rejected", &[]);
    expect_rows(&home, 5);
}

/// After a key was revoked, the rest of the pipe goes to the spool.
#[test]
fn rows_after_a_revoked_key_wait_in_the_spool() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    let admin = home.read(".netrc");
    let made = home.run(&["keys", "add", "--entity", "me", "logger"]).ok();
    home.write(".netrc", &admin.replace(&key(&home), made.trim()));
    let (log, mut stdin) = pipe(&home, &["log", TABLE]);
    stdin.write_all(rows(0..5).as_bytes()).unwrap();
    until("rows are stored", || {
        home.run(&["query", "select n from me.shop.requests"]).out.contains('4')
    });
    let keys = home.run(&["keys", "ls", "--json", "--data", "data"]).ok();
    let keys: serde_json::Value = serde_json::from_str(&keys).unwrap();
    let id =
        keys.as_array().unwrap().iter().find(|it| it["name"] == "logger").unwrap()["id"].clone();
    home.run(&["keys", "revoke", id.as_str().unwrap(), "--data", "data"]).ok();
    stdin.write_all(rows(5..6).as_bytes()).unwrap();
    until("a row waits", || spooled(&home) == 1);
    std::thread::sleep(Duration::from_secs(1));
    stdin.write_all(rows(6..500).as_bytes()).unwrap();
    drop(stdin);
    says(
        &finish(log),
        1,
        "500 logged, 5 acked, 495 pending",
        &["delivery has stopped: ", "; rows go to the spool", "495 rows wait in the spool"],
    );
    home.write(".netrc", &admin);
    assert_eq!(home.run(&["sync"]).ok(), "1 spool: 495 rows found, 495 acked, 0 rejected\n");
    expect_rows(&home, 500);
}

/// A portal that answers everything is like a server that is away.
#[test]
fn a_portal_at_the_start_sends_rows_to_the_spool() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    let portal = Portal::start(&mut home, Way::AnswerAll(PAGE));
    let (log, mut stdin) = pipe(&home, &["log", TABLE]);
    stdin.write_all(rows(0..500).as_bytes()).unwrap();
    until("the rows are on disk", || spooled(&home) == 500);
    portal.set(Way::Open);
    drop(stdin);
    let logged = finish(log);
    says(
        &logged,
        0,
        "500 logged, 500 acked, 0 pending",
        &[
            "a proxy or captive portal may be in the way",
            "logging offline: rows go to the spool until the server answers",
        ],
    );
    expect_rows(&home, 500);
    // Without an entity nothing says where the rows belong.
    portal.set(Way::AnswerAll(PAGE));
    let nameless = home.pipe(&["log", "shop/requests"], &rows(0..1));
    says(&nameless, 1, "", &["write entity/project/table"]);
}

/// Lost answers to opening requests cost time and no row.
#[test]
fn opening_requests_are_repeated() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    let portal = Portal::start(&mut home, Way::LoseHalf);
    let logged = home.pipe(&["log", TABLE], &rows(0..20));
    says(&logged, 0, "20 logged, 20 acked, 0 pending", &[]);
    assert!(portal.caught() >= 9, "{} requests", portal.caught());
    assert!(!logged.err.contains("offline"), "{}", logged.err);
    portal.set(Way::Open);
    expect_rows(&home, 20);
}

/// A signal ends the command soon although the server is silent; a second one ends it at once.
#[test]
fn signals_end_the_wait_for_a_silent_server() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    let portal = Portal::start(&mut home, Way::Open);
    for (round, signals) in [(0, ["TERM"].as_slice()), (1, &["INT"]), (2, &["TERM", "TERM"])] {
        let (log, mut stdin) = pipe(&home, &["log", TABLE]);
        let first = round * 7;
        stdin.write_all(rows(first..first + 1).as_bytes()).unwrap();
        until("the first row is stored", || {
            home.run(&["tail", TABLE]).out.contains(&format!("\"n\":{first}"))
        });
        portal.set(Way::Silent);
        let caught = portal.caught();
        stdin.write_all(rows(first + 1..first + 7).as_bytes()).unwrap();
        until("rows are under way", || portal.caught() > caught);
        let start = Instant::now();
        for name in signals {
            signal(&log, name);
            std::thread::sleep(Duration::from_millis(300));
        }
        let ended = finish(log);
        let time = start.elapsed();
        let limit = if signals.len() == 2 { 4 } else { 10 };
        assert!(time < Duration::from_secs(limit), "it took {time:?}");
        says(
            &ended,
            130,
            "7 logged, 1 acked, 6 pending",
            &["6 rows wait in the spool: `streamtable sync` delivers them"],
        );
        assert_eq!(spooled(&home), 6);
        portal.set(Way::Open);
        home.run(&["sync"]).ok();
        expect_rows(&home, first + 7);
        drop(stdin);
    }
}

/// Every exit prints the tally, also one before the table is open.
#[test]
fn a_signal_ends_the_opening_of_a_table() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    let portal = Portal::start(&mut home, Way::Silent);
    home.write("rows.jsonl", &rows(0..3));
    for name in ["INT", "TERM"] {
        let caught = portal.caught();
        let log = home.command(&["log", TABLE, "rows.jsonl"]).spawn().unwrap();
        until("the table is being opened", || portal.caught() > caught);
        signal(&log, name);
        says(&finish(log), 130, "me/shop/requests: 0 logged, 0 acked, 0 pending", &[]);
    }
}

/// A page is not the confirmation that a key is revoked.
#[test]
fn a_page_revokes_no_key() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    let _portal = Portal::start(&mut home, Way::AnswerAll(PAGE));
    let revoked = home.run(&["keys", "revoke", "some-id"]);
    says(&revoked, 1, "", &["answered 200 with text/html, which is not an acknowledgement"]);
}
