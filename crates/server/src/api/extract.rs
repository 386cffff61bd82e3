//! Extractors for the handlers of the API.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRef, FromRequestParts, Path, Query};
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;
use streamtable_schema::TablePath;
use streamtable_server_core::{self as core, Core};
use streamtable_url::BaseUrl;

use crate::{ApiError, Principal, Right};

/// Query parameters. Invalid ones are rejected with the API's usual error format.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        query.map(|Query(params)| Self(params)).map_err(|e| ApiError::bad_request(e.body_text()))
    }
}

/// The base URL of links to tables.
#[derive(Debug)]
pub(super) struct Board(pub(super) BaseUrl);

impl<S: Send + Sync> FromRequestParts<S> for Board
where
    Core: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let url = core::BaseUrl::from_request_parts(parts, state).await?.0;
        url.parse().map(Self).map_err(|error| ApiError::bad_request(format!("{error}")))
    }
}

/// The table named in the path. The caller's rights are checked by [`Table::require`].
#[derive(Debug)]
pub(super) struct Table(TablePath);

impl<S: Send + Sync> FromRequestParts<S> for Table {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path: Result<Path<(String, String, String)>, PathRejection> =
            Path::from_request_parts(parts, state).await;
        let Path((entity, project, table)) =
            path.map_err(|error| ApiError::bad_request(error.body_text()))?;
        let path = TablePath::new(&entity, &project, &table);
        path.map(Self).map_err(|error| ApiError::bad_request(error.to_string()))
    }
}

impl Table {
    /// Returns the table's path if the principal has the right.
    ///
    /// If the principal may not even read the table, the error says that the table does not exist.
    pub(super) fn require(
        self,
        right: Right,
        principal: &Principal,
    ) -> Result<TablePath, ApiError> {
        let path = self.0;
        if principal.may(right, path.entity()) {
            return Ok(path);
        }
        tracing::warn!(target: "audit", key = principal.name, table = %path, ?right, "refused");
        Err(if principal.may(Right::Read, path.entity()) {
            ApiError::new(StatusCode::FORBIDDEN, format!("this key may only read {path}"))
        } else {
            ApiError::not_found(format!("no table {path}"))
        })
    }
}
