//! Upload and download of files of runs and artifacts, by signed URLs and by their paths.

mod content;
mod download;
mod manifest;
mod sign;
mod upload;

use axum::Router;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use streamtable_schema::TablePath;
use streamtable_server_core::{BaseUrl, WebOrigin};

use crate::Wandb;

pub(crate) use content::mimetype;
pub(crate) use manifest::{
    MAX_MANIFEST_BYTES, Reference, is_same as is_same_manifest, merge as merge_manifests,
    references as manifest_references,
};
pub(crate) use sign::Signer;
pub(crate) use upload::named_sha256;

pub(crate) fn router() -> Router<Wandb> {
    Router::new()
        .route("/storage/{*slot}", put(upload::put).get(download::signed).options(preflight))
        .route("/files/{entity}/{project}/{run}/{*path}", get(download::run_file))
        .route("/artifacts/{entity}/{*digest}", get(download::artifact_v1))
        .route("/artifactsV2/{region}/{entity}/{*rest}", get(download::artifact_v2))
}

/// Answers a browser's question which origins may use signed URLs: this server's own.
async fn preflight(base: BaseUrl, headers: HeaderMap) -> Response {
    let origin = |text: &HeaderValue| text.to_str().ok()?.parse::<WebOrigin>().ok();
    let own = WebOrigin::of_url(&base.0).ok();
    let asking = headers.get(ORIGIN).filter(|text| own.is_some() && origin(text) == own);
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = asking {
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, PUT"));
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
    }
    response
}

/// The target of a signed URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// A file of a run, by its path.
    RunFile { run: i64, path: String },
    /// A file of an artifact.
    ArtifactFile { id: i64 },
    /// A manifest of an artifact.
    Manifest { id: i64 },
}

impl Slot {
    /// Parses the decoded path after `/storage/`.
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('/')?;
        match kind {
            "run" => {
                let (run, path) = rest.split_once('/')?;
                is_file_path(path).then_some(())?;
                Some(Self::RunFile { run: canonical_number(run)?, path: path.to_owned() })
            }
            "artifact-file" => Some(Self::ArtifactFile { id: file_number(rest)? }),
            "manifest" => Some(Self::Manifest { id: file_number(rest)? }),
            _ => None,
        }
    }

    /// Returns the path after `/storage/`, not percent-encoded. Parsing it returns an equal value.
    fn text(&self) -> String {
        match self {
            Self::RunFile { run, path } => format!("run/{run}/{path}"),
            Self::ArtifactFile { id } => format!("artifact-file/{id}"),
            Self::Manifest { id } => format!("manifest/{id}"),
        }
    }
}

/// Parses the number of a file. A readable name may follow it.
fn file_number(text: &str) -> Option<i64> {
    canonical_number(text.split('/').next()?)
}

/// Parses a number in the form that this module writes, so that each slot has exactly one path.
fn canonical_number(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

/// Characters that are percent-encoded in a path.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

fn encode(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

/// Returns the path, on this server, of a file that belongs to a table's rows.
pub fn run_file_url(table: &TablePath, path: &str) -> String {
    let parts = [table.entity(), table.project(), table.table()];
    let [entity, project, run] = parts.map(|part| utf8_percent_encode(part, NON_ALPHANUMERIC));
    format!("/files/{entity}/{project}/{run}/{}", encode(path))
}

/// Maximum length of a file's path.
const MAX_PATH_BYTES: usize = 1024;

/// Returns whether a text is a relative path that stays inside its folder. No file on disk has such
/// a name; this protects other programs that use the path.
pub(crate) fn is_file_path(path: &str) -> bool {
    let is_odd = |segment: &str| matches!(segment, "" | "." | "..");
    path.len() <= MAX_PATH_BYTES
        && !path.split('/').any(is_odd)
        && !path.contains(|c: char| c.is_control() || c == '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots() {
        for slot in [
            Slot::RunFile { run: 7, path: "media/images/a b%2F.png".into() },
            Slot::ArtifactFile { id: 0 },
            Slot::Manifest { id: i64::MAX },
        ] {
            assert_eq!(Slot::parse(&slot.text()), Some(slot));
        }
        for text in ["", "run/7", "run/x/a", "run/7/../a", "run/7//a", "manifest/", "other/1"] {
            assert_eq!(Slot::parse(text), None, "{text}");
        }
        for number in ["+7", "07", "-0", "7 ", "\u{663}", "9223372036854775808"] {
            for text in [
                format!("run/{number}/a"),
                format!("artifact-file/{number}"),
                format!("artifact-file/{number}/name"),
                format!("manifest/{number}"),
            ] {
                assert_eq!(Slot::parse(&text), None, "{text}");
            }
        }
    }

    #[test]
    fn paths() {
        for path in ["a", "media/images/é b.png", "a..b/c"] {
            assert!(is_file_path(path), "{path}");
        }
        let long = "x".repeat(MAX_PATH_BYTES + 1);
        for path in ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\\b", "a\0b", &long] {
            assert!(!is_file_path(path), "{path}");
        }
    }
}
