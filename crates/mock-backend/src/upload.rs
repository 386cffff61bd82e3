//! Bytes that go to signed addresses, and come from them.

use bytes::Bytes;
use http::header::ETAG;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use streamtable_schema::{MediaKind, TablePath};
use streamtable_wire::{UploadAnswer, media_file};

use crate::refusal::{Refusal, json_response};
use crate::route::header;
use crate::state::State;

/// A header that the mock asks of every upload, so that a client which forgets what `uploadHeaders`
/// says is found out.
pub(crate) const UPLOAD_HEADER: (&str, &str) = ("x-mock-upload", "signed, with care");

/// What a signed address stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    RunFile { table: TablePath, path: String },
    ArtifactFile { artifact: usize, path: String },
    Manifest { artifact: usize, md5: String },
}

/// Returns the headers of an upload, as answers have them.
pub(crate) fn upload_headers() -> Vec<String> {
    vec![format!("{}:{}", UPLOAD_HEADER.0, UPLOAD_HEADER.1)]
}

/// Makes the address of a slot.
pub(crate) fn url(base: &str, slot: usize) -> String {
    format!("{}/storage/{slot}?signature={}", base.trim_end_matches('/'), signature(slot))
}

fn signature(slot: usize) -> String {
    format!("{:016x}", (slot as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Finds what a signed address stands for. A key that comes with it is ignored.
fn slot<'a>(state: &'a State, slot: usize, signed: &str) -> Result<&'a Slot, Refusal> {
    let found = state.slots.get(slot);
    let found = found.ok_or_else(|| {
        Refusal::violation(StatusCode::NOT_FOUND, "nobody was told to go to this address")
    })?;
    if signed == signature(slot) {
        return Ok(found);
    }
    Err(Refusal::violation(StatusCode::FORBIDDEN, "the address's signature is wrong"))
}

/// Takes bytes. The same bytes may come again.
pub(crate) fn put(
    state: &mut State,
    number: usize,
    signed: &str,
    headers: &HeaderMap,
    bytes: Bytes,
) -> Result<(), Refusal> {
    let slot = slot(state, number, signed)?.clone();
    if header(headers, UPLOAD_HEADER.0)? != Some(UPLOAD_HEADER.1) {
        return Err(Refusal::bad("the upload lacks a header that `uploadHeaders` names"));
    }
    if header(headers, "content-encoding")?.is_some() {
        return Err(Refusal::bad("an upload is stored as it comes, so it is not compressed"));
    }
    match slot {
        Slot::RunFile { table, path } => {
            if let Some(sha256) = named_sha256(&path)
                && sha256_of(&bytes) != sha256
            {
                return Err(Refusal::bad(format!("the bytes of {path:?} are not those it names")));
            }
            let run = state.run_mut(&table)?;
            run.files.insert(path, bytes);
            Ok(())
        }
        Slot::ArtifactFile { artifact, path } => state.artifacts[artifact].put(&path, bytes),
        Slot::Manifest { artifact, md5 } => state.artifacts[artifact].put_manifest(&md5, bytes),
    }
}

/// Makes the answer to an upload: as a StreamTable server's or as an object store's.
pub(crate) fn answer(bytes: &[u8], states_coverage: bool) -> Response<Bytes> {
    let stored = UploadAnswer::of(bytes);
    let etag = HeaderValue::try_from(format!("\"{}\"", stored.sha256));
    let mut answer = match states_coverage {
        true => json_response(StatusCode::OK, stored.to_bytes()),
        false => Response::new(Bytes::new()),
    };
    if let Ok(etag) = etag {
        answer.headers_mut().insert(ETAG, etag);
    }
    answer
}

/// Gives bytes back.
pub(crate) fn get(state: &State, number: usize, signed: &str) -> Result<Bytes, Refusal> {
    let bytes = match slot(state, number, signed)? {
        Slot::RunFile { table, path } => state.runs.get(table).and_then(|run| run.files.get(path)),
        Slot::ArtifactFile { artifact, path } => state.artifacts[*artifact].file(path),
        Slot::Manifest { artifact, .. } => state.artifacts[*artifact].manifest(),
    };
    bytes.cloned().ok_or_else(|| Refusal::plain(StatusCode::NOT_FOUND, "nothing was put here"))
}

/// Returns the hash that a content-addressed file's name claims.
pub(crate) fn named_sha256(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    let stem = name.split('.').next()?;
    let is_digest = stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then_some(stem)
}

fn sha256_of(bytes: &[u8]) -> String {
    media_file(MediaKind::Image, "", bytes).sha256.unwrap_or_default()
}
