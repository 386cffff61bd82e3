//! Documents that users save under a name, such as boards: versions, and preconditions of changes.

mod catalog;
mod respond;

use axum::Json;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use streamtable_schema::TablePath;

use crate::{ApiError, Principal, Right};

pub(crate) use catalog::{Changed, DocumentCatalog, DocumentPath, DocumentVersion, Expected, Kind};

/// The metadata of a document.
#[derive(Debug, Serialize)]
pub(crate) struct DocumentInfo {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) version: i64,
    pub(crate) updated: String,
    pub(crate) author: String,
}

impl From<DocumentVersion> for DocumentInfo {
    fn from(document: DocumentVersion) -> Self {
        let updated = jiff::Timestamp::from_millisecond(document.saved_at).unwrap_or_default();
        Self {
            name: document.name,
            title: document.title,
            version: document.version,
            updated: format!("{updated:.3}"),
            author: document.author,
        }
    }
}

/// Selects a version of a document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionParams {
    pub(crate) version: Option<i64>,
}

/// Returns the path of a document if the principal has the right. Names follow the rules for
/// table names.
pub(crate) fn path_of(
    principal: &Principal,
    right: Right,
    entity: &str,
    project: &str,
    name: &str,
) -> Result<DocumentPath, ApiError> {
    principal.check(right, entity)?;
    let path = TablePath::new(entity, project, name);
    let path = path.map_err(|error| ApiError::bad_request(error.to_string()))?;
    Ok(DocumentPath {
        entity: path.entity().to_owned(),
        project: path.project().to_owned(),
        name: path.table().to_owned(),
    })
}

pub(crate) fn etag(version: i64) -> HeaderValue {
    // A quoted number is always a valid header value.
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Parses the preconditions of a change.
pub(crate) fn expected(headers: &HeaderMap) -> Result<Expected, ApiError> {
    let text = |name: &HeaderName| -> Result<Option<&str>, ApiError> {
        let text = headers.get(name).map(HeaderValue::to_str).transpose();
        text.map_err(|_| ApiError::bad_request(format!("{name} is not plain text")))
    };
    match (text(&IF_MATCH)?, text(&IF_NONE_MATCH)?) {
        (None, None) => Ok(Expected::Anything),
        (Some("*"), None) => Ok(Expected::Something),
        (None, Some("*")) => Ok(Expected::Nothing),
        (Some(etag), None) => {
            let digits = etag.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
            // An `ETag` that the server never issued matches no version.
            Ok(Expected::Version(digits.and_then(|it| it.parse().ok()).unwrap_or(-1)))
        }
        _ => Err(ApiError::bad_request("If-Match requires a version, If-None-Match requires `*`")),
    }
}

/// Returns a 412 response that describes the current version.
fn unexpected(noun: &str, found: Option<DocumentVersion>) -> Response {
    let message = match &found {
        Some(it) => {
            format!("the {noun} was changed by {}; version {} is newer", it.author, it.version)
        }
        None => format!("the {noun} does not exist any more"),
    };
    let mut body = json!({ "errors": [{ "message": message }] });
    if let Some(DocumentInfo { version, updated, author, .. }) = found.map(DocumentInfo::from) {
        body["version"] = version.into();
        body["updated"] = updated.into();
        body["author"] = author.into();
    }
    (StatusCode::PRECONDITION_FAILED, Json(body)).into_response()
}
