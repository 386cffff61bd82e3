//! Responses to requests for documents, the same for each kind.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{
    Changed, DocumentCatalog, DocumentInfo, DocumentPath, DocumentVersion, VersionParams, etag,
    unexpected,
};
use crate::{ApiError, Principal};

impl DocumentCatalog {
    /// Returns the document at a path; 304 if the caller has it.
    pub(crate) async fn respond(
        &self,
        path: &DocumentPath,
        params: &VersionParams,
        headers: &HeaderMap,
    ) -> Result<Response, ApiError> {
        let found = self.get(path, params.version).await?;
        let (found, document) = found.ok_or_else(|| self.missing(path))?;
        let etag = etag(found.version);
        if headers.get(IF_NONE_MATCH) == Some(&etag) {
            return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response());
        }
        let json = HeaderValue::from_static("application/json");
        Ok(([(ETAG, etag), (CONTENT_TYPE, json)], document).into_response())
    }

    /// Returns the stored versions of a document, newest first.
    pub(crate) async fn respond_versions(
        &self,
        path: &DocumentPath,
    ) -> Result<Json<Vec<DocumentInfo>>, ApiError> {
        let versions = self.versions(path).await?;
        if versions.is_empty() {
            return Err(self.missing(path));
        }
        Ok(Json(versions.into_iter().map(DocumentInfo::from).collect()))
    }

    /// Responds to a request that saved a document, or whose precondition failed.
    pub(crate) fn respond_saved(&self, changed: Changed) -> Response {
        match changed {
            Changed::Done { document, is_new } => {
                let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
                let etag = etag(document.version);
                (status, [(ETAG, etag)], Json(DocumentInfo::from(document))).into_response()
            }
            Changed::Unexpected(found) => unexpected(self.noun(), found),
        }
    }

    /// Responds to a request that deleted a document, and records that for the audit.
    pub(crate) fn respond_deleted(&self, path: &DocumentPath, by: &Principal) -> Response {
        let DocumentPath { entity, project, name } = path;
        let (noun, by) = (self.noun(), &by.name);
        tracing::info!(target: "audit", entity, project, name, by, "a {noun} was deleted");
        StatusCode::NO_CONTENT.into_response()
    }

    /// Responds to a deletion whose precondition failed.
    pub(crate) fn refuse_deletion(
        &self,
        path: &DocumentPath,
        found: Option<DocumentVersion>,
    ) -> Result<Response, ApiError> {
        match found {
            None => Err(self.missing(path)),
            found => Ok(unexpected(self.noun(), found)),
        }
    }

    /// Returns the error for a document that does not exist.
    pub(crate) fn missing(&self, path: &DocumentPath) -> ApiError {
        let DocumentPath { entity, project, name } = path;
        let noun = self.noun();
        ApiError::not_found(format!("no {noun} {entity}/{project}/{name}, or no such version"))
    }
}
