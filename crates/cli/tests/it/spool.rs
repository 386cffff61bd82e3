//! Rows that wait on disk.

use crate::support::{Home, signal, until};
use std::io::Write;
use std::process::Stdio;

#[test]
fn spooled_rows_are_delivered_once() {
    let mut home = Home::new();
    let server = home.serve(&[]);
    assert!(home.run(&["spool", "ls"]).ok().starts_with("no rows are waiting in "));
    let logged = home.pipe(&["log", "--offline", "me/shop/t"], "{\"n\":1}\n{\"n\":2}\n");
    assert_eq!(logged.ok(), "me/shop/t: 2 logged, 0 acked, 2 pending, 0 rejected, 0 dropped\n");
    let listed = home.run(&["spool", "ls"]).ok();
    assert!(listed.contains("│ me/shop/t ┆ http://127.0.0.1:"), "{listed}");
    assert!(home.run(&["spool", "verify"]).ok().ends_with(": 1 spool, 2 rows, no problems\n"));
    let exported = home.run(&["spool", "export"]).ok();
    assert_eq!(exported.lines().count(), 2);
    assert!(exported.starts_with("{\"n\":1,"), "{exported}");

    assert_eq!(home.run(&["sync"]).ok(), "1 spool: 2 rows found, 2 acked, 0 rejected\n");
    assert_eq!(home.run(&["sync"]).ok(), "0 spools: 0 rows found, 0 acked, 0 rejected\n");
    let rows = home.run(&["query", "--format", "csv", "select n from me.shop.t"]).ok();
    assert_eq!(rows, "n\n1\n2\n");

    // The rows of a killed program are delivered once, by the next command that opens the table or
    // syncs.
    server.stop();
    let addr = home.url.clone().unwrap().replace("http://", "");
    let server = home.serve(&["--addr", &addr]);
    let mut log = home.command(&["log", "me/shop/killed"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = log.stdin.take().unwrap();
    writeln!(pipe, "{{\"n\":1}}").unwrap();
    until("the row is stored", || home.run(&["tail", "me/shop/killed"]).out.contains("\"n\":1"));
    server.stop();
    writeln!(pipe, "{{\"n\":2}}").unwrap();
    until("the row is spooled", || home.run(&["spool", "export"]).out.contains("\"n\":2"));
    signal(&log, "KILL");
    log.wait().unwrap();
    let _server = home.serve(&["--addr", &addr]);
    let synced = home.run(&["sync"]).ok();
    assert!(synced.starts_with("1 spool: ") && synced.ends_with("0 rejected\n"), "{synced}");
    let rows = home.run(&["query", "--format", "csv", "select n from me.shop.killed"]).ok();
    assert_eq!(rows, "n\n1\n2\n");
}

#[test]
fn damage_is_reported() {
    let home = Home::new();
    let mut command = home.command(&["log", "--offline", "me/shop/t"]);
    command.env("WANDB_BASE_URL", "http://127.0.0.1:9").stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    for n in 0..200 {
        writeln!(child.stdin.as_ref().unwrap(), "{{\"n\":{n}}}").unwrap();
    }
    drop(child.stdin.take());
    assert_eq!(crate::support::finish(child).code, Some(0));
    let segment = walk(&home.path("state"))
        .into_iter()
        .find(|path| path.extension().is_some_and(|it| it == "seg"));
    let segment = segment.unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.windows(7).position(|it| it == b"{\"n\":70").unwrap();
    bytes[middle + 3] ^= 0xff;
    std::fs::write(&segment, bytes).unwrap();
    let verified = home.run(&["spool", "verify"]);
    assert_eq!(verified.code, Some(1));
    assert!(verified.err.contains("are damaged"), "{}", verified.err);
    assert!(
        verified.err.contains("error: ") && verified.err.contains("1 spool, "),
        "{}",
        verified.err
    );
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found
}
