//! The page that a table's link opens, as files to serve.
//!
//! Serves nothing itself and knows no rights: it hands out the built files, each compressed, and the
//! shell that loads them.
#![doc = include_str!("../README.md")]

use std::io::Read;

/// A built file.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Asset {
    /// Its name below `/assets/`.
    pub path: &'static str,
    /// What it is.
    pub content_type: &'static str,
    /// Its bytes, compressed by Brotli.
    pub brotli: &'static [u8],
    /// What tells it from any other, quoted as an `ETag`.
    pub etag: &'static str,
    /// Whether its name holds a hash of its bytes: under that name there will never be others.
    pub is_immutable: bool,
}

/// Sorted by path.
static ASSETS: &[Asset] = &include!("../dist/assets.rs");

const SHELL: &str = include_str!("../dist/index.html");

impl std::fmt::Debug for Asset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asset").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Asset {
    /// Returns its bytes, for somebody who does not read Brotli. Takes some milliseconds for each
    /// megabyte.
    pub fn plain(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        let mut reader = brotli_decompressor::Decompressor::new(self.brotli, 1 << 16);
        reader.read_to_end(&mut plain).expect("what is built in was compressed whole");
        plain
    }
}

/// Finds a built file by its name below `/assets/`.
pub fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.binary_search_by(|asset| asset.path.cmp(path)).ok().map(|index| &ASSETS[index])
}

/// Returns all built files, sorted by path.
pub fn assets() -> &'static [Asset] {
    ASSETS
}

/// Makes the page, with a title and with what it starts from, as JSON.
///
/// Neither needs to be escaped: this does it.
///
/// ```
/// let page = streamtable_board::shell("a < b", r#"{"table":"</script>"}"#);
/// assert!(page.contains("<title>a &lt; b</title>"));
/// assert!(page.contains(r#"{"table":"\u003c/script>"}"#));
/// ```
pub fn shell(title: &str, start: &str) -> String {
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    // JSON has `<` in texts only, and there it may be written so.
    let start = start.replace('<', "\\u003c");
    let (head, rest) = SHELL.split_once("{title}").unwrap_or((SHELL, ""));
    let (middle, tail) = rest.split_once("{start}").unwrap_or((rest, ""));
    [head, &title, middle, &start, tail].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_asset_is_whole_and_found() {
        for built in assets() {
            assert_eq!(asset(built.path).map(|it| it.etag), Some(built.etag), "{}", built.path);
            assert!(built.plain().len() > built.brotli.len() / 2, "{}", built.path);
        }
        assert!(asset("").is_none() && asset("../Cargo.toml").is_none());
    }

    #[test]
    fn the_shell_loads_what_there_is() {
        let shell = shell("t", "{}");
        let mut named =
            shell.split("/assets/").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
        assert_eq!(named.clone().count(), 3);
        assert!(named.all(|path| asset(path).is_some_and(|it| it.is_immutable)), "{shell}");
        assert!(!shell.contains("://"), "a page of ours names no other origin");
    }

    #[test]
    fn what_comes_before_the_first_paint_is_small() {
        let sum = |wanted: &[&str]| -> usize {
            let is_wanted = |asset: &&Asset| {
                let (stem, _) = asset.path.rsplit_once('-').unwrap_or((asset.path, ""));
                wanted.contains(&stem)
            };
            assets().iter().filter(is_wanted).map(|asset| asset.brotli.len()).sum()
        };
        let shell = sum(&["app", "icon"]);
        let grid = sum(&["app", "icon", "viewer", "viewer-glue"]);
        assert!((1..100_000).contains(&shell), "{shell}");
        assert!((1_000_000..2_000_000).contains(&grid), "{grid}");
    }

    #[test]
    fn scripts_need_no_eval() {
        // Perspective's glue has a way to find the global object that no browser of today takes.
        let app =
            assets().iter().find(|it| it.path.starts_with("app-") && it.path.ends_with(".js"));
        let script = String::from_utf8(app.unwrap().plain()).unwrap();
        assert!(!script.contains("new Function") && !script.contains("eval("));
    }
}
