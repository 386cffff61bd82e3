//! What `serve` does to its folder.

#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{Home, mode};

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
