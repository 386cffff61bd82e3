//! Examples in rustdoc compile as displayed: hidden lines only end an example that uses `?`.

use std::fs;
use std::path::{Path, PathBuf};

/// The crates that programs depend on.
const CRATES: [&str; 7] =
    ["client", "mock-backend", "schema", "transport", "transport-hyper", "url", "wire"];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let (dirs, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.into_iter().chain(dirs.iter().flat_map(|dir| sources(dir))).collect()
}

/// Returns the hidden lines of the examples in a source file that define something.
fn hidden(text: &str) -> Vec<&str> {
    let comments = text.lines().map(str::trim_start).filter_map(|line| {
        line.strip_prefix("//! ").or_else(|| line.strip_prefix("/// ")).or(Some(line))
    });
    let mut is_example = false;
    comments
        .filter(|line| {
            is_example ^= line.starts_with("```");
            is_example && line.starts_with("# ") && !line.starts_with("# Ok::<")
        })
        .collect()
}

#[test]
fn examples_hide_no_definitions() {
    assert_eq!(
        hidden("/// ```\n/// # let a = 1;\n/// # Ok::<(), ()>(())\n/// ```"),
        ["# let a = 1;"]
    );
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    for path in CRATES.iter().flat_map(|name| sources(&crates.join(name).join("src"))) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        assert_eq!(hidden(&text), Vec::<&str>::new(), "{}", path.display());
    }
}
