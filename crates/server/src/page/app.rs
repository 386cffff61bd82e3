//! The board's page: the HTML shell and the files that it loads.

use std::sync::OnceLock;

use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use streamtable_board::Asset;

use crate::ApiError;
use crate::config::ServerConfig;

/// Content security policy of the page and its workers: they may run this server's scripts and
/// WebAssembly, and connect to this server only. Inline styles are allowed because Perspective sets
/// style attributes; inline scripts are not. Icons are data URLs in the styles.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self'; \
    font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors ";

/// The initial view of the page.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "view", rename_all = "lowercase")]
pub(super) enum Start {
    /// A table's panel. `writes`: whether the reader may save boards in its project.
    Panel { entity: String, project: String, table: String, expr: String, writes: bool },
    /// Lists of tables and boards: all visible ones, or those of an entity or a project. `writes`:
    /// whether the reader may create boards there. `runs`: whether projects have pages of runs.
    Home { entity: Option<String>, project: Option<String>, writes: bool, runs: bool },
    /// A board. `writes`: whether the reader may save and delete it.
    Board { entity: String, project: String, board: String, writes: bool },
    /// The monitors of a project, or one of them. `writes`: whether the reader may change them.
    Monitors { entity: String, project: String, writes: bool },
    /// The runs or the artifacts of a project, or one of them. `writes`: whether the reader may
    /// create boards in the project.
    #[cfg(feature = "wandb")]
    Runs { entity: String, project: String, writes: bool },
}

/// The initial view as it is embedded in the page.
#[derive(Serialize)]
struct Written<'a> {
    embed: bool,
    #[serde(flatten)]
    start: &'a Start,
}

/// Whether other pages may show the page in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Not allowed: the page is opened on its own.
    Never,
    /// Allowed for the origins in the settings: the page is made for frames.
    Allowed,
}

/// Returns the response with the page.
pub(super) fn shell(config: &ServerConfig, title: &str, start: &Start, frame: Frame) -> Response {
    let written = Written { embed: frame == Frame::Allowed, start };
    let json = serde_json::to_string(&written).expect("texts become JSON");
    let page = streamtable_board::shell(&format!("{title} – StreamTable"), &json);
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, policy(config, frame)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, page).into_response()
}

fn policy(config: &ServerConfig, frame: Frame) -> HeaderValue {
    let ancestors = match frame {
        Frame::Never => "'none'".to_owned(),
        Frame::Allowed => frame_ancestors(config),
    };
    header(format!("{POLICY}{ancestors}"))
}

/// Returns the policy of a page without scripts that other pages may show in a frame.
pub(super) fn policy_of_forms(config: &ServerConfig) -> HeaderValue {
    let ancestors = frame_ancestors(config);
    header(format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors {ancestors}"
    ))
}

fn header(policy: String) -> HeaderValue {
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Returns the origins that may frame a page. If only this machine can reach the server, they
/// include the machine's other servers, such as a notebook's.
fn frame_ancestors(config: &ServerConfig) -> String {
    let mut ancestors = vec!["'self'"];
    // A text with one of these characters is no origin and could start another directive.
    let is_one = |origin: &&str| !origin.contains([' ', ';', ',']);
    ancestors.extend(config.frame_ancestors.iter().map(String::as_str).filter(is_one));
    if config.addr.ip().is_loopback() && config.public_url.is_none() {
        ancestors.extend(["http://localhost:*", "http://127.0.0.1:*"]);
    }
    ancestors.join(" ")
}

/// Serves a file of the built page.
pub(super) async fn asset(
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let asset = streamtable_board::asset(&path)
        .ok_or_else(|| ApiError::not_found("there is no such file"))?;
    let mut response = Response::new(Body::empty());
    let cache =
        if asset.is_immutable { "public, max-age=31536000, immutable" } else { "public, no-cache" };
    let mut set = |name: HeaderName, value: &'static str| {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    };
    set(CONTENT_TYPE, asset.content_type);
    set(CACHE_CONTROL, cache);
    set(ETAG, asset.etag);
    set(VARY, "accept-encoding");
    if asset.content_type.starts_with("text/javascript") {
        // A worker uses its own script's policy, not the page's.
        let policy = policy(&ServerConfig::default(), Frame::Never);
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if text(IF_NONE_MATCH).split(',').any(|tag| tag.trim() == asset.etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let accepted = text(ACCEPT_ENCODING);
    let (encoding, bytes) = if accepts(accepted, "br") {
        (Some("br"), Bytes::from_static(asset.brotli))
    } else if accepts(accepted, "gzip") {
        (Some("gzip"), gzipped(asset).await?)
    } else {
        let plain = tokio::task::spawn_blocking(|| asset.plain()).await;
        (None, plain.map_err(failed)?.into())
    };
    if let Some(encoding) = encoding {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    *response.body_mut() = Body::from(bytes);
    Ok(response)
}

/// Returns whether a list of encodings contains one that is not excluded by `q=0`.
fn accepts(list: &str, encoding: &str) -> bool {
    list.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        is_named && !parts.any(|quality| matches!(quality, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// Returns a file compressed with gzip, which every browser supports; browsers accept Brotli only
/// over TLS and from this machine. Each file is compressed once.
async fn gzipped(asset: &'static Asset) -> Result<Bytes, ApiError> {
    static GZIPPED: OnceLock<Vec<OnceLock<Bytes>>> = OnceLock::new();
    let all = GZIPPED
        .get_or_init(|| streamtable_board::assets().iter().map(|_| OnceLock::new()).collect());
    let index = streamtable_board::assets().iter().position(|it| it.path == asset.path);
    let slot = index.and_then(|index| all.get(index)).expect("each asset has a slot");
    if let Some(bytes) = slot.get() {
        return Ok(bytes.clone());
    }
    let made = tokio::task::spawn_blocking(|| slot.get_or_init(|| gzip(&asset.plain())).clone());
    made.await.map_err(failed)
}

fn gzip(plain: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = std::io::Write::write_all(&mut encoder, plain).and_then(|()| encoder.finish());
    written.expect("writing to memory cannot fail").into()
}

fn failed(error: tokio::task::JoinError) -> ApiError {
    tracing::error!(%error, "a file of the page could not be decompressed");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        #[track_caller]
        fn check(list: &str, expected: bool) {
            assert_eq!(accepts(list, "br"), expected, "{list}");
        }
        for list in ["br", "gzip, br", "gzip;q=0.5,BR;q=0.9", "br; q=1"] {
            check(list, true);
        }
        for list in ["", "gzip", "brotli", "br;q=0", "gzip, br; q=0.000"] {
            check(list, false);
        }
    }

    #[test]
    fn frames() {
        #[track_caller]
        fn check(config: ServerConfig, frame: Frame, expected: &str) {
            let policy = policy(&config, frame);
            let policy = policy.to_str().unwrap();
            assert!(policy.ends_with(&format!("frame-ancestors {expected}")), "{policy}");
            assert!(!policy.contains("'unsafe-eval'"));
        }
        let local = ServerConfig::default();
        let public = ServerConfig { addr: "0.0.0.0:80".parse().unwrap(), ..local.clone() };
        let named = ServerConfig {
            frame_ancestors: vec!["https://notebook.example".into()],
            ..public.clone()
        };
        check(local.clone(), Frame::Never, "'none'");
        check(local, Frame::Allowed, "'self' http://localhost:* http://127.0.0.1:*");
        check(public, Frame::Allowed, "'self'");
        check(named, Frame::Allowed, "'self' https://notebook.example");
    }
}
