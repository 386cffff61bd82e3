//! The web page that a table's link opens, as built files to serve.
//!
//! This crate serves nothing itself and knows nothing about access rights. It provides the built
//! files, compressed, and the HTML shell that loads them.
#![doc = include_str!("../README.md")]

use std::io::Read;

/// A built file.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Asset {
    /// The name below `/assets/`.
    pub path: &'static str,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The content, compressed with Brotli.
    pub brotli: &'static [u8],
    /// The quoted `ETag` of the content.
    pub etag: &'static str,
    /// Whether the name contains a hash of the content, so that the content under this name never
    /// changes.
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
    /// Returns the uncompressed content, for clients that do not accept Brotli. Takes some
    /// milliseconds per megabyte.
    pub fn plain(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        let mut reader = brotli_decompressor::Decompressor::new(self.brotli, 1 << 16);
        reader.read_to_end(&mut plain).expect("the embedded files are complete");
        plain
    }
}

/// Returns the built file with this name below `/assets/`.
pub fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.binary_search_by(|asset| asset.path.cmp(path)).ok().map(|index| &ASSETS[index])
}

/// Returns all built files, sorted by path.
pub fn assets() -> &'static [Asset] {
    ASSETS
}

/// Makes the HTML page, with a title and its initial data as JSON.
///
/// Escapes both.
///
/// ```
/// let page = streamtable_board::shell("a < b", r#"{"table":"</script>"}"#);
/// assert!(page.contains("<title>a &lt; b</title>"));
/// assert!(page.contains(r#"{"table":"\u003c/script>"}"#));
/// ```
pub fn shell(title: &str, start: &str) -> String {
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    // In JSON, `<` occurs only in strings, where it can be escaped.
    let start = start.replace('<', "\\u003c");
    let (head, rest) = SHELL.split_once("{title}").unwrap_or((SHELL, ""));
    let (middle, tail) = rest.split_once("{start}").unwrap_or((rest, ""));
    [head, &title, middle, &start, tail].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_asset_is_complete_and_found() {
        for built in assets() {
            assert_eq!(asset(built.path).map(|it| it.etag), Some(built.etag), "{}", built.path);
            assert!(built.plain().len() > built.brotli.len() / 2, "{}", built.path);
        }
        assert!(asset("").is_none() && asset("../Cargo.toml").is_none());
    }

    #[test]
    fn the_shell_loads_existing_assets() {
        let shell = shell("t", "{}");
        let mut named =
            shell.split("/assets/").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
        assert_eq!(named.clone().count(), 4);
        // The login page, which is not built with the board, names the icon, so it has no hash.
        let is_kept = |path| asset(path).is_some_and(|it| it.is_immutable || path == "icon.svg");
        assert!(named.all(is_kept), "{shell}");
        assert!(!shell.contains("://"), "the page must not refer to another origin");
    }

    #[test]
    fn files_loaded_before_the_first_paint_are_small() {
        let sum = |wanted: &[&str]| -> usize {
            let is_wanted = |asset: &&Asset| {
                let (stem, _) = asset.path.rsplit_once('-').unwrap_or((asset.path, ""));
                wanted.contains(&stem)
            };
            assets().iter().filter(is_wanted).map(|asset| asset.brotli.len()).sum()
        };
        let shell = sum(&["app", "shared", "icon"]);
        let grid = sum(&["app", "shared", "icon", "viewer", "viewer-glue"]);
        assert!((1..100_000).contains(&shell), "{shell}");
        assert!((1_000_000..2_000_000).contains(&grid), "{grid}");
    }

    #[test]
    fn scripts_need_no_eval() {
        // Perspective's generated code has a fallback for finding the global object that current
        // browsers never reach.
        for part in ["app-", "shared-", "later-"] {
            let is_part = |it: &&Asset| it.path.starts_with(part) && it.path.ends_with(".js");
            let script = assets().iter().find(is_part).unwrap().plain();
            let script = String::from_utf8(script).unwrap();
            assert!(!script.contains("new Function") && !script.contains("eval("), "{part}");
        }
    }
}
