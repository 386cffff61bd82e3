//! Documents that a server stores under names, as files: boards, monitors and targets.

use std::io::Read;
use std::path::Path;

use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderValue, Method};
use http_body_util::BodyExt;

use crate::failure::Failure;
use crate::output::{Output, print};
use crate::remote::{Remote, encode};

/// Returns the path of a project's documents in the native API; `kind` is `boards`, for example.
pub(super) fn project_path(kind: &str, project: &str) -> Result<String, Failure> {
    let parts: Vec<&str> = project.split('/').collect();
    let [entity, name] = parts[..] else {
        return Err(Failure::usage(format!(
            "{project:?} is not a project; expected ENTITY/PROJECT"
        )));
    };
    Ok(format!("/api/{kind}/{}/{}", encode(entity), encode(name)))
}

/// Returns the path of a document in the native API. Missing parts of the name come from the same
/// sources as for tables.
pub(super) async fn path(remote: &Remote, kind: &str, name: &str) -> Result<String, Failure> {
    let path = remote.table(name).await?;
    let [entity, project, name] = [path.entity(), path.project(), path.table()].map(encode);
    Ok(format!("/api/{kind}/{entity}/{project}/{name}"))
}

/// Writes a document to a file, or to standard output.
pub(super) async fn get(remote: &Remote, path: &str, file: Option<&Path>) -> Result<(), Failure> {
    let answer = remote.send(remote.request(Method::GET, path, None)?).await?;
    let body = answer.into_body().collect().await.map_err(Failure::failed)?.to_bytes();
    let mut out = Output::open(file)?;
    out.put(&body)?;
    if out.is_terminal() {
        out.put(b"\n")?;
    }
    out.finish()
}

/// Saves a document with a version. Fails if the document exists, for `new`, or unless `seen` is
/// its version.
pub(super) async fn put(
    remote: &Remote,
    (kind, name): (&str, &str),
    file: &Path,
    new: bool,
    seen: Option<u64>,
) -> Result<(), Failure> {
    let document = read(file)?;
    let path = path(remote, kind, name).await?;
    let mut request = remote.request(Method::PUT, &path, Some(document.into()))?;
    if new {
        request.headers_mut().insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
    }
    if let Some(seen) = seen {
        let seen = HeaderValue::try_from(format!("\"{seen}\"")).map_err(Failure::failed)?;
        request.headers_mut().insert(IF_MATCH, seen);
    }
    let answer = remote.send(request).await?;
    let etag = answer.headers().get(ETAG).and_then(|it| it.to_str().ok());
    let version = etag.unwrap_or_default().trim_matches('"').to_owned();
    print(format!("saved {name}, version {version}"))
}

/// Deletes a document.
pub(super) async fn delete(remote: &Remote, kind: &str, name: &str) -> Result<(), Failure> {
    remote.delete(&path(remote, kind, name).await?).await?;
    print(format!("deleted {name}"))
}

/// Reads a file, or standard input for `-`.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::failed(format!("cannot read {}: {error}", file.display()));
    if file == Path::new("-") {
        let mut document = Vec::new();
        std::io::stdin().read_to_end(&mut document).map_err(failed)?;
        return Ok(document);
    }
    std::fs::read(file).map_err(failed)
}
