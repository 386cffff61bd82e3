//! The `demo` command.

use std::io::{BufRead, BufReader};
use std::process::Command;

use crate::support::{Home, finish, signal};

#[test]
fn the_demo_stops_after_the_requested_rows() {
    let home = Home::new();
    let ended = home.run(&["demo", "--rows", "50", "--rate", "500"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let tally = "50 logged, 50 acked, 0 pending, 0 rejected, 0 dropped; media: 50 uploaded, 0 pending, 0 failed";
    assert!(ended.out.contains("\n48 of 50 digits recognised\n"), "{}", ended.out);
    assert!(ended.out.ends_with(&format!("demo/mnist/digits: {tally}\n")), "{}", ended.out);
    assert_eq!(ended.err, "", "a newcomer sees no warning");
    // The demo leaves no files behind and does not change the user's netrc file.
    assert_eq!(std::fs::read_dir(home.path("")).unwrap().count(), 0);
}

/// The commands that the demo prints can be pasted into a shell.
#[test]
fn printed_commands_work() {
    let home = Home::new();
    let mut demo = home.command(&["demo", "--rate", "200"]).spawn().unwrap();
    let mut out = BufReader::new(demo.stdout.take().unwrap());
    let (mut lines, mut line) = (Vec::new(), String::new());
    while !line.contains("curl") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "{lines:?}");
        lines.push(line.trim().to_owned());
    }
    let of = |word: &str| lines.iter().find(|line| line.contains(word)).unwrap().clone();
    let paste = |command: &str| {
        let script = format!("{}\n{command}\n", of("export "));
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).env("HOME", home.path("")).env_remove("WANDB_API_KEY");
        let ended = shell.output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stdout).unwrap())
    };
    crate::support::until("the table has rows", || paste(&of(" query ")).1.contains("┆"));
    let (code, table) = paste(&of(" query "));
    assert_eq!(code, Some(0));
    assert!(table.contains("│ prediction ┆ truth ┆"), "{table}");
    let (code, rows) = paste(&of(" tail -f").replace("tail -f", "tail -n 1"));
    assert!(code == Some(0) && rows.contains("\"prediction\":"), "{rows}");
    if Command::new("curl").arg("--version").output().is_ok() {
        let (code, rows) = paste(&of("curl "));
        assert!(code == Some(0) && rows.lines().count() == 3, "{rows}");
    }
    signal(&demo, "INT");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut out, &mut rest).unwrap();
    let ended = finish(demo);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(rest.contains(" acked, 0 pending, 0 rejected, 0 dropped"), "{rest}");
}
