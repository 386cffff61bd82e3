//! What `serve` does to its folder.

#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{Home, finish, mode};

/// Returns all files and folders below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            found.push(path);
        }
    }
    found
}

#[test]
fn all_in_the_data_folder_is_private() {
    let mut home = Home::new();
    // One that others can read, from the usual umask.
    std::fs::create_dir(home.path("data")).unwrap();
    std::fs::set_permissions(home.path("data"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let server = home.serve(&[]);
    home.pipe(&["log", "me/p/t"], "{\"a\":1}\n").ok();
    let ended = server.stop();
    assert!(ended.err.contains("chmod 700"), "{}", ended.err);

    let found = below(&home.path("data"));
    for name in ["catalog.db", "catalog-copies/000001.db", "signing-key", "store/tables/me/p/t"] {
        assert!(found.contains(&home.path("data").join(name)), "{name}: {found:?}");
    }
    for path in found {
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
}

#[test]
fn a_new_data_folder_is_private() {
    let mut home = Home::new();
    let ended = home.serve(&[]).stop();
    assert_eq!(mode(&home.path("data")), 0o700);
    assert!(!ended.err.contains("chmod"), "{}", ended.err);
}

#[test]
fn a_lost_catalog_is_no_first_start() {
    let mut home = Home::new();
    let server = home.serve(&[]);
    home.pipe(&["log", "me/p/t"], "{\"a\":1}\n").ok();
    server.stop();
    let netrc = home.read(".netrc");
    std::fs::remove_file(home.path("data/catalog.db")).unwrap();

    let refused = home.run(&["serve", "--data", "data", "--addr", "127.0.0.1:0"]);
    assert_eq!(refused.code, Some(1), "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("`--lost-catalog copy`"), "{}", refused.err);
    assert_eq!(home.read(".netrc"), netrc);
    let refused = home.run(&["keys", "--data", "data", "add"]);
    assert_eq!(refused.code, Some(1), "{}{}", refused.out, refused.err);

    let server = home.serve(&["--lost-catalog", "copy"]);
    assert!(home.run(&["query", "select a from me.p.t"]).ok().contains('1'));
    server.stop();
    assert_eq!(home.read(".netrc"), netrc);
}

#[test]
fn settings_come_from_the_command_line_then_variables_then_the_file() {
    let home = Home::new();
    home.write(
        "s.toml",
        "addr = \"127.0.0.1:7001\"\nentity = \"of-file\"\nslow-query = \"5s\"\n\
         allow-host = [\"a.example\", \"b.example\"]\n",
    );
    let mut command = home.command(&["config", "--config", "s.toml", "--addr", "127.0.0.1:7003"]);
    command.env("STREAMTABLE_SERVER_ADDR", "127.0.0.1:7002");
    command.env("STREAMTABLE_SERVER_ENTITY", "of-variable");
    let shown = finish(command.spawn().unwrap()).ok();
    #[track_caller]
    fn check(shown: &str, line: &str, source: &str) {
        let found = shown.lines().find(|it| it.starts_with(line));
        assert!(found.is_some_and(|it| it.ends_with(&format!("# {source}"))), "{line}: {shown}");
    }
    check(&shown, "addr = \"127.0.0.1:7003\" ", "command line");
    check(&shown, "entity = \"of-variable\" ", "STREAMTABLE_SERVER_ENTITY");
    check(&shown, "slow-query = \"5s\" ", "s.toml");
    check(&shown, "allow-host = [\"a.example\", \"b.example\"] ", "s.toml");
    check(&shown, "log-format = \"text\" ", "default");

    // The output is a file with the same settings.
    home.write("again.toml", &shown);
    let again = home.run(&["config", "--config", "again.toml"]).ok();
    let values = |text: &str| -> Vec<String> {
        text.lines().map(|it| it.split(" #").next().unwrap_or(it).trim().to_owned()).collect()
    };
    assert_eq!(values(&again), values(&shown));
}

#[test]
fn wrong_settings_name_their_file() {
    let home = Home::new();
    #[track_caller]
    fn check(home: &Home, text: &str, code: i32, part: &str) {
        home.write("s.toml", text);
        let ended = home.run(&["serve", "--config", "s.toml"]);
        assert_eq!(ended.code, Some(code), "{}", ended.err);
        assert!(ended.err.contains("s.toml") && ended.err.contains(part), "{}", ended.err);
    }
    check(&home, "adress = 1", 1, "unknown setting `adress`");
    check(&home, "addr = \"nowhere\"", 2, "invalid value 'nowhere' for '--addr");
    check(&home, "tls-cert = \"a.pem\"", 2, "--tls-key");
    let missing = home.run(&["serve", "--config", "missing.toml"]);
    assert!(missing.err.contains("cannot use missing.toml"), "{}", missing.err);
}

#[test]
fn the_log_can_be_json() {
    let mut home = Home::new();
    let server = home.serve(&["--log-format", "json", "--slow-query", "0s"]);
    home.pipe(&["log", "me/p/t"], "{\"a\":1}\n").ok();
    home.run(&["query", "select a from me.p.t"]).ok();
    let ended = server.stop();
    let lines: Vec<serde_json::Value> =
        ended.err.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let slow = lines.iter().find(|line| line["target"] == "slow" && line["outcome"] == "complete");
    let slow = slow.unwrap_or_else(|| panic!("{}", ended.err));
    assert_eq!((&slow["rows"], &slow["sql"]), (&1.into(), &"select a from me.p.t".into()));
    assert_eq!(slow["spans"][0]["id"].as_str().map(str::len), Some(32), "{slow}");
}

/// Pages would be blank below a path of a host.
#[test]
fn the_public_url_has_no_path() {
    let mut home = Home::new();
    for url in ["https://example.org/tables", "http://127.0.0.1:9000/a/b/"] {
        let refused = home.run(&["serve", "--addr", "127.0.0.1:0", "--public-url", url]);
        assert_eq!(refused.code, Some(2), "{}", refused.err);
        assert!(refused.err.contains("of its own, without a path"), "{}", refused.err);
    }
    let server = home.serve(&["--public-url", "https://example.org/"]);
    assert_eq!(server.stop().code, Some(0));
}
