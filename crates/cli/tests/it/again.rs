//! Files that are logged again.

use std::fmt::Write as _;
use std::process::Stdio;

use crate::support::{Home, finish, signal, until};

fn count(home: &Home, table: &str) -> String {
    let sql = format!("select count(*), count(distinct n) from me.p.{table}");
    let out = home.run(&["query", "--format", "csv", &sql]).ok();
    out.lines().nth(1).unwrap().to_owned()
}

/// Rows of which each hundredth has a column that others do not have.
fn partly_refused(rows: u64) -> String {
    let mut text = String::new();
    for n in 0..rows {
        let extra = if n % 100 == 99 { r#","extra":1"# } else { "" };
        writeln!(text, r#"{{"n":{n}{extra}}}"#).unwrap();
    }
    text
}

#[test]
fn a_file_logged_again_adds_the_rows_that_were_refused() {
    let mut home = Home::new();
    let server = home.serve(&[]);
    home.write("rows.jsonl", &partly_refused(5_000));
    let first = home.run(&["log", "me/p/t", "rows.jsonl"]);
    assert_eq!(first.code, Some(1), "{}", first.err);
    assert_eq!(count(&home, "t"), "4950,4950");

    // Following the advice of the message adds only these.
    assert!(first.err.contains("use --evolve"), "{}", first.err);
    home.write("copy.jsonl", &partly_refused(5_000));
    let second = home.run(&["log", "--evolve", "me/p/t", "copy.jsonl"]);
    assert!(second.err.contains("4,950 rows skipped"), "{}", second.err);
    assert!(second.ok().contains(": 50 logged, 50 acked"));
    assert_eq!(count(&home, "t"), "5000,5000");

    let third = home.run(&["log", "--evolve", "me/p/t", "rows.jsonl"]);
    assert_eq!(third.code, Some(1));
    assert!(third.err.contains("nothing was logged; --again"), "{}", third.err);
    assert_eq!(count(&home, "t"), "5000,5000");
    home.run(&["log", "--evolve", "--again", "me/p/t", "rows.jsonl"]).ok();
    assert_eq!(count(&home, "t"), "10000,5000");

    // Another table, other content and a pipe are not affected.
    home.run(&["log", "--evolve", "me/p/other", "rows.jsonl"]).ok();
    home.write("rows.jsonl", "{\"n\":0}\n");
    home.run(&["log", "--evolve", "me/p/other", "rows.jsonl"]).ok();
    for _ in 0..2 {
        home.pipe(&["log", "--evolve", "me/p/other"], "{\"n\":1}\n").ok();
    }
    assert_eq!(count(&home, "other"), "5003,5000");

    let same = home.run(&["log", "--evolve", "me/p/x", "copy.jsonl", "copy.jsonl"]);
    assert!(same.err.contains("has the same content as"), "{}", same.err);
    server.stop();
}

#[test]
fn a_record_of_rows_that_a_new_server_does_not_have_is_ignored() {
    let mut home = Home::new();
    let server = home.serve(&[]);
    let addr = home.url.clone().unwrap();
    let addr = addr.strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
    home.write("rows.jsonl", &partly_refused(500));
    assert_eq!(home.run(&["log", "me/p/t", "rows.jsonl"]).code, Some(1));
    server.stop();
    let server = home.serve(&["--data", "empty", "--addr", &addr]);
    let again = home.run(&["log", "me/p/t", "rows.jsonl"]);
    assert!(again.out.contains(": 495 logged, 495 acked"), "{}{}", again.out, again.err);
    server.stop();
}

#[test]
fn a_killed_command_logs_the_rest_when_it_is_repeated() {
    const ROWS: u64 = 200_000;
    let mut home = Home::new();
    let server = home.serve(&[]);
    home.write("rows.jsonl", &partly_refused(ROWS));
    let stored = |home: &Home| {
        let out = home.run(&["query", "--format", "csv", "select count(*) from me.p.t"]);
        out.out.lines().nth(1).and_then(|count| count.parse::<u64>().ok()).unwrap_or(0)
    };
    for kill in 1..=2 {
        let before = stored(&home);
        let mut command = home.command(&["log", "--evolve", "me/p/t", "rows.jsonl"]);
        let mut child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        until("rows are stored", || stored(&home) > before || child.try_wait().unwrap().is_some());
        signal(&child, if kill == 1 { "KILL" } else { "INT" });
        finish(child);
        home.run(&["sync"]).ok();
    }
    until("the rest is logged", || {
        let ended = home.run(&["log", "--evolve", "me/p/t", "rows.jsonl"]);
        // Rows of a killed command are delivered first.
        home.run(&["sync"]).ok();
        ended.code == Some(0) || ended.err.contains("--again logs all rows")
    });
    assert_eq!(count(&home, "t"), format!("{ROWS},{ROWS}"));
    server.stop();
}
