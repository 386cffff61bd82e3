//! Tests of the documentation: the tests that it names exist, and front pages show whole programs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::root;

/// Documents that name tests as `module::test`, in backticks.
const DOCUMENTS: &[&str] =
    &["docs/architecture.md", "docs/contributing.md", "docs/reliability.md", "docs/security.md"];

#[test]
fn named_tests_exist() {
    let mut defined = BTreeSet::new();
    for folder in ["crates", "tests", "xtask", "bench"] {
        collect(&root().join(folder), &mut defined);
    }
    let mut missing = Vec::new();
    for document in DOCUMENTS {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for name in text.split('`').skip(1).step_by(2) {
            missing.extend(unknown(name, &defined).map(|name| format!("{document}: {name}")));
        }
    }
    assert!(missing.is_empty(), "no such test or module:\n{}", missing.join("\n"));
}

/// Returns the parts of a path such as `spool::tests::{a, b}` that nothing defines; nothing for
/// text that is not such a path.
fn unknown<'a>(
    text: &'a str,
    defined: &'a BTreeSet<String>,
) -> impl Iterator<Item = &'a str> + use<'a> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_path = text.contains("::") && text.chars().all(|c| is_name(c) || ":{}, ".contains(c));
    let last = text.rsplit("::").next().filter(|_| is_path).unwrap_or_default();
    last.split(move |c| !is_name(c)).filter(|name| !name.is_empty() && !defined.contains(*name))
}

/// Adds the names of all functions and modules below a folder.
fn collect(folder: &Path, defined: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("node_modules") && !path.ends_with("target") {
            collect(&path, defined);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let words: Vec<&str> = text.split_whitespace().collect();
            for pair in words.windows(2).filter(|pair| pair[0] == "fn" || pair[0] == "mod") {
                let end = pair[1].find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                defined.insert(pair[1][..end.unwrap_or(pair[1].len())].to_owned());
            }
        }
    }
}

/// The front page of each crate.
fn front_pages() -> impl Iterator<Item = (PathBuf, String)> {
    let folders = fs::read_dir(root().join("crates")).unwrap();
    folders.filter_map(|folder| {
        let page = folder.unwrap().path().join("src/lib.rs");
        fs::read_to_string(&page).ok().map(|text| (page, text))
    })
}

#[test]
fn examples_on_front_pages_have_no_hidden_lines() {
    let mut pages = 0;
    for (page, text) in front_pages() {
        let hidden: Vec<_> = text.lines().filter_map(|line| hidden_code(line)).collect();
        assert_eq!(hidden, [""; 0], "{}: readers do not see these lines", page.display());
        pages += 1;
    }
    assert!(pages > 10, "only {pages} crates");
}

/// Returns the line of a crate's documentation, if rustdoc compiles it without showing it.
fn hidden_code(line: &str) -> Option<&str> {
    let code = line.strip_prefix("//! ")?.trim_start();
    let is_hidden = code == "#" || code.starts_with("# ");
    // Headings of the documentation itself look the same; no front page has any.
    is_hidden.then_some(code)
}

#[test]
fn hidden_lines_are_found() {
    assert_eq!(hidden_code("//! # Ok::<(), Error>(())"), Some("# Ok::<(), Error>(())"));
    assert_eq!(hidden_code("//!     #"), Some("#"));
    for shown in ["//! #[derive(Debug)]", "//! let n = 1; // # 1", "# x", "//!"] {
        assert_eq!(hidden_code(shown), None, "{shown}");
    }
}

#[test]
fn crates_with_features_show_them_in_their_documentation() {
    for (page, text) in front_pages() {
        let manifest = fs::read_to_string(page.with_file_name("../Cargo.toml")).unwrap();
        if manifest.contains("\n[features]\n") {
            let shows = manifest.contains(r#"rustdoc-args = ["--cfg", "docsrs"]"#)
                && text.contains("#![cfg_attr(docsrs, feature(doc_cfg))]");
            assert!(shows, "{}: no `doc_cfg`", page.display());
        }
    }
}
