//! Errors are reported as one clear line and an exit code.

use crate::support::Home;

#[track_caller]
fn check(home: &Home, args: &[&str], code: i32, error: &str) {
    let ended = home.run(args);
    let err = ended.err.trim_end();
    assert_eq!(ended.code, Some(code), "{args:?}: {err}");
    assert!(err.contains(error), "{args:?}: {err}");
    // clap prints usage hints after its first line.
    if !err.contains("For more information") && !err.contains("Usage:") {
        assert_eq!(err.lines().count(), 1, "{args:?}: {err}");
    }
    assert_eq!(ended.out, "", "{args:?}");
}

#[test]
fn errors_without_a_server() {
    let home = Home::new();
    let nowhere = "http://127.0.0.1:9";
    for (args, code, error) in [
        (&["nope"][..], 2, "unrecognized subcommand 'nope'"),
        (&["query"], 2, "<SQL>"),
        (&["tables"], 1, "there is no API key for http://127.0.0.1:8080: set WANDB_API_KEY"),
        (&["tables", "--base-url", "ftp://x"], 2, "is not a server URL"),
        (&["login", "--key", "abc"], 2, "a key on the command line is visible to other users"),
        (&["login"], 2, "standard input is not a terminal"),
        (&["url", "a/b/c/d"], 2, "at most three parts"),
        (&["query", "select 1", "--home", "me"], 2, "--home must be ENTITY/PROJECT"),
        (&["query", "select 1", "-o", "x.docx"], 2, "cannot infer the format from x.docx"),
        (&["export", "-o", "x.csv"], 2, "<TABLE>"),
        (&["export", "a/b/c", "--sql", "select 1"], 2, "cannot be used with"),
        (&["log", "me/shop/t", "nothing.csv"], 1, "nothing.csv: No such file"),
        (&["log", "--strict", "--evolve", "t"], 2, "cannot be used with"),
        (&["serve", "--addr", "here"], 2, "invalid value 'here'"),
        (&["serve", "--tls-cert", "c.pem"], 2, "--tls-key"),
        (&["serve", "--data", "/proc/none/here"], 1, "cannot use the folder"),
        (&["demo", "--rate", "0"], 2, "the rate must be between"),
        (&["sync", "nowhere"], 1, "nowhere is not a folder"),
        (&["sync", "--every", "0", "--follow"], 2, "0 is not in"),
        (&["completions", "cmd"], 2, "invalid value 'cmd'"),
    ] {
        check(&home, args, code, error);
    }
    let mut unreachable = home.command(&["tables", "--base-url", nowhere]);
    let ended = unreachable.env("WANDB_API_KEY", "k").output().unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(err.starts_with("error: cannot reach 127.0.0.1:9"), "{err}");
}

#[test]
fn errors_with_a_server() {
    let mut home = Home::new();
    let _server = home.serve(&[]);
    home.pipe(&["log", "--quiet", "me/shop/t"], "{\"n\":1}\n").ok();
    home.write("broken.parquet", "no parquet");
    home.write("broken.json", "[{\"n\":1},");
    for (args, code, error) in [
        (&["query", "selec 1"][..], 1, "error: "),
        (&["query", "select nope from me.shop.t"], 1, "nope"),
        (&["query", "drop table me.shop.t"], 1, "error: "),
        (
            &["query", "select 1", "--timeout", "0"],
            2,
            "--timeout must be a number of seconds above 0",
        ),
        (&["query", "select * from me.shop.none"], 1, "none"),
        (&["query", "select 1", "-o", "no/such/folder.csv"], 1, "cannot write no/such/folder.csv"),
        (&["query", "select 1", "-o", ".", "--format", "csv"], 1, ". is a folder"),
        (&["tail", "me/shop/none"], 1, "none"),
        (&["tail", "-f", "me/shop/none"], 1, "none"),
        (&["schema", "me/shop/none"], 1, "none"),
        (&["export", "me/shop/none", "-o", "x.csv"], 1, "none"),
        (&["export", "me/shop/t", "--format", "table"], 2, "only supported by `query`"),
        (&["keys", "revoke", "nope"], 1, "no such key"),
        (&["keys", "add", "--entity", "NOT GOOD"], 1, "error: "),
        (&["log", "T/"], 2, "error: "),
    ] {
        check(&home, args, code, error);
    }
    for (file, error) in [
        ("broken.parquet", "its content is something else"),
        ("broken.json", "the JSON array is broken"),
    ] {
        let ended = home.run(&["log", "--quiet", "me/shop/t", file]);
        assert!(ended.code == Some(1) && ended.err.contains(error), "{file}: {}", ended.err);
    }
    // A failed export leaves no partial file.
    assert!(!home.path("x.csv").exists());
    let files = std::fs::read_dir(home.path("")).unwrap();
    let left =
        files.filter(|it| it.as_ref().unwrap().file_name().to_string_lossy().contains(".part"));
    assert_eq!(left.count(), 0);
}
