//! Backups of a data folder, and servers that are started in them.

#![cfg(unix)]

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Home, mode};

/// Returns the complete backups in a folder, the oldest first.
fn backups(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries
        .filter(|path| path.join("catalog.db").exists() && !path.ends_with("partial"))
        .collect();
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

fn count(home: &Home, table: &str) -> u64 {
    let sql = format!("select count(*), count(distinct n) from me.p.{table}");
    let out = home.run(&["query", "--format", "csv", &sql]).ok();
    let line = out.lines().nth(1).unwrap_or_else(|| panic!("{out}"));
    let (rows, different) = line.split_once(',').unwrap();
    assert_eq!(rows, different, "rows are there twice");
    rows.parse().unwrap()
}

fn rows(range: std::ops::Range<u64>) -> String {
    range.map(|n| format!("{{\"n\":{n},\"text\":\"row {n}\"}}\n")).collect()
}

#[test]
fn a_backup_of_a_busy_server_has_all_earlier_rows_and_keys() {
    let mut home = Home::new();
    let server = home.serve(&[]);
    home.pipe(&["log", "me/p/before"], &rows(0..2_000)).ok();
    home.pipe(&["log", "me/p/during"], &rows(0..100)).ok();
    let key = home.run(&["keys", "add", "--read", "reader"]).ok();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut first = 100;
            while !is_done.load(Ordering::Relaxed) {
                home.pipe(&["log", "me/p/during"], &rows(first..first + 100)).ok();
                first += 100;
            }
        });
        for _ in 0..3 {
            let out = home.run(&["backup", "--data", "data", "backups"]).ok();
            assert!(out.contains("verified"), "{out}");
        }
        is_done.store(true, Ordering::Relaxed);
    });
    let during = count(&home, "during");
    server.stop();

    let made = backups(&home.path("backups"));
    assert_eq!(made.len(), 3);
    assert_eq!(mode(&made[0]) & 0o077, 0);
    let mut earlier = 100;
    for backup in &made {
        let place = home.path("restored");
        let _ = std::fs::remove_dir_all(&place);
        copy(backup, &place);
        let server = home.serve(&["--data", "restored"]);
        assert_eq!(count(&home, "before"), 2_000);
        let restored = count(&home, "during");
        assert!((earlier..=during).contains(&restored), "{restored} of {earlier} to {during}");
        earlier = restored;
        let keys = home.run(&["keys", "ls"]).ok();
        assert!(keys.contains("reader"), "{keys} {key}");
        server.stop();
    }
}

#[test]
fn later_backups_share_what_does_not_change() {
    let mut home = Home::new();
    let server = home.serve(&[]);
    home.pipe(&["log", "me/p/t"], &rows(0..5_000)).ok();
    // A stop flushes the rows to a file.
    server.stop();
    home.run(&["backup", "--data", "data", "backups"]).ok();
    let second = home.run(&["backup", "--data", "data", "backups"]).ok();
    let made = backups(&home.path("backups"));
    let file = |backup: &Path| {
        let folder = std::fs::read_dir(backup.join("store/tables/me/p/t")).unwrap();
        let mut paths = folder.map(|entry| entry.unwrap().path());
        paths.find(|path| path.extension().is_some_and(|it| it == "parquet")).unwrap()
    };
    let inode = |path: &Path| path.metadata().unwrap().ino();
    assert_eq!(inode(&file(&made[0])), inode(&file(&made[1])), "{second}");

    // The incomplete folder of a killed command is not a backup, and is removed.
    std::fs::create_dir_all(home.path("backups/partial/store")).unwrap();
    let third = home.run(&["backup", "--data", "data", "--keep", "2", "backups"]).ok();
    assert!(third.contains("removed 1 older backup"), "{third}");
    assert!(!home.path("backups/partial").exists());
    assert_eq!(backups(&home.path("backups"))[0], made[1]);
}

#[test]
fn what_cannot_be_backed_up_is_refused() {
    let mut home = Home::new();
    let server = home.serve(&[]);
    home.pipe(&["log", "me/p/t"], &rows(0..5_000)).ok();
    server.stop();
    #[track_caller]
    fn check(home: &Home, data: &str, target: &str, part: &str) {
        let ended = home.run(&["backup", "--data", data, target]);
        assert_eq!(ended.code, Some(1), "{}", ended.out);
        assert!(ended.err.contains(part), "{}", ended.err);
    }
    check(&home, "nowhere", "backups", "not the data folder of a server");
    check(&home, "data", "data/backups", "cannot be inside the data folder");
    home.write("file", "");
    check(&home, "data", "file/backups", "file");
    let folder = home.path("data/store/tables/me/p/t");
    let mut paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let rows = paths.find(|path| path.extension().is_some_and(|it| it == "parquet")).unwrap();
    let mut bytes = std::fs::read(&rows).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&rows, bytes).unwrap();
    check(&home, "data", "backups", "missing or damaged; nothing was backed up");
    assert_eq!(backups(&home.path("backups")), Vec::<PathBuf>::new());
}
