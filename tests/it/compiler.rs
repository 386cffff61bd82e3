//! What the compiler says about wrong calls.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the folder of the compiled crates.
fn deps() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// Returns the most recently compiled version of a crate.
fn newest(deps: &Path, name: &str) -> PathBuf {
    let (prefix, entries) = (format!("lib{name}-"), std::fs::read_dir(deps).unwrap());
    let files = entries.map(|entry| entry.unwrap().path()).filter(|path| {
        let file = path.file_name().unwrap().to_string_lossy();
        file.starts_with(&prefix) && file.ends_with(".rlib")
    });
    files.max_by_key(|path| path.metadata().unwrap().modified().unwrap()).unwrap()
}

/// Compiles statements with a table in sight, and returns the compiler's messages.
fn compile(statements: &str) -> String {
    let (deps, dir) = (deps(), tempfile::tempdir().unwrap());
    let source = dir.path().join("program.rs");
    let program = format!(
        "use streamtable::{{blocking::StreamTable, row}};\n\
         pub fn program(table: &StreamTable) {{\n{statements}\n}}\n"
    );
    std::fs::write(&source, program).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "-Adead_code"])
        .arg(format!("-Ldependency={}", deps.display()))
        .arg(format!("--extern=streamtable={}", newest(&deps, "streamtable").display()))
        .args(["--out-dir".as_ref(), dir.path()])
        .arg(&source)
        .output()
        .unwrap();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_row_by_value_is_explained() {
    assert_eq!(compile("let _ = table.log(row! { \"ms\" => 7 });"), "");
    for value in ["Request { ms: 7 }", "7.5_f64"] {
        let said = compile(&format!("struct Request {{ ms: i64 }}\nlet _ = table.log({value});"));
        assert!(said.contains("is neither a row nor a collection of rows"), "{said}");
        assert!(said.contains("pass one serializable value by reference: log(&value)"), "{said}");
    }
}
