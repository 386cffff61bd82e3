//! Commands that run while rows arrive or a server stops.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::support::{Home, finish, signal, until};

/// Rows of a slow pipe are visible at once. `tail -f` prints each row once, across a server
/// restart.
#[test]
fn slow_pipes_and_tails_survive_a_server_restart() {
    let mut home = Home::new();
    let server = home.serve(&[]);
    let addr = home.url.clone().unwrap().replace("http://", "");
    let mut log = home.command(&["log", "me/shop/live"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = log.stdin.take().unwrap();
    let count = |home: &Home| {
        home.run(&["query", "--format", "csv", "select count(*) as n from me.shop.live"]).out
    };
    writeln!(pipe, "{{\"n\":1}}").unwrap();
    until("the first row is stored", || count(&home) == "n\n1\n");

    let mut tail = home.command(&["tail", "-f", "me/shop/live"]).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut next = || {
        let row: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        row["n"].as_i64().unwrap()
    };
    assert_eq!(next(), 1);
    writeln!(pipe, "{{\"n\":2}}").unwrap();
    assert_eq!(next(), 2);

    assert_eq!(server.stop().code, Some(0));
    writeln!(pipe, "{{\"n\":3}}").unwrap();
    let _server = home.serve(&["--addr", &addr]);
    assert_eq!(next(), 3);
    drop(pipe);
    let logged = finish(log);
    assert_eq!(logged.out, "me/shop/live: 3 logged, 3 acked, 0 pending, 0 rejected, 0 dropped\n");
    signal(&tail, "INT");
    let ended = finish(tail);
    assert_eq!(ended.code, Some(130));
    assert!(ended.err.contains("waiting for the server\nreconnected\n"), "{}", ended.err);

    let last = home.run(&["tail", "-n", "2", "--format", "text", "me/shop/live"]).ok();
    let last: Vec<&str> = last.lines().map(|line| line.split_once("  ").unwrap().1).collect();
    assert_eq!(last, ["n=2", "n=3"]);
}

/// `log` stops on SIGINT and SIGTERM, and stores the rows that it has read.
#[test]
fn an_interrupted_log_stores_the_rows_it_has_read() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    for name in ["INT", "TERM"] {
        let table = format!("me/shop/{name}");
        let mut log = home.command(&["log", &table]).stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = log.stdin.take().unwrap();
        writeln!(pipe, "{{\"n\":1}}").unwrap();
        until("the row is stored", || home.run(&["tail", &table]).out.contains("\"n\":1"));
        signal(&log, name);
        let ended = finish(log);
        assert_eq!(ended.code, Some(130), "{}", ended.err);
        assert!(ended.out.starts_with(&format!("{table}: 1 logged, 1 acked")), "{}", ended.out);
        drop(pipe);
    }
}

/// A reader that closes the pipe, such as `head`, is not an error.
#[test]
fn a_broken_pipe_is_not_an_error() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    let sql = "select * from generate_series(1, 300000)";
    let mut query = home.command(&["query", "--format", "csv", sql]).spawn().unwrap();
    let mut out = BufReader::new(query.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    drop(out);
    let ended = finish(query);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert_eq!(line, "value\n");
}
