//! What handlers take from a request.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;
use streamtable_schema::TablePath;
use streamtable_url::BaseUrl;

use crate::{ApiError, AppState, Principal, Right, origin};

/// The parameters behind the `?`. Refuses what cannot be read as every other error is told.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        query.map(|Query(params)| Self(params)).map_err(|e| ApiError::bad_request(e.body_text()))
    }
}

/// Where links to tables begin.
#[derive(Debug)]
pub(super) struct Board(pub(super) BaseUrl);

impl FromRequestParts<AppState> for Board {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let url = origin::BaseUrl::from_request_parts(parts, state).await?.0;
        url.parse().map(Self).map_err(|error| ApiError::bad_request(format!("{error}")))
    }
}

/// The table that a path names. Who may do what with it is asked separately.
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
    /// Returns the table's path to somebody who may do this with it.
    ///
    /// To whoever may not even read, the table is not there.
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
