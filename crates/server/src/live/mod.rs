//! Live views over HTTP: the pages' WebSocket, views as files, and suggested boards.

mod export;
mod socket;
mod state;

use http::StatusCode;
use streamtable_live::LiveError;

use crate::ApiError;

pub(crate) use export::{export, first_board, templates};
pub(crate) use socket::live;
pub(crate) use state::LiveState;

/// Converts an error of a view to a response.
fn to_api_error(error: LiveError) -> ApiError {
    let status = match error {
        LiveError::Refused { .. } => StatusCode::BAD_REQUEST,
        LiveError::NoView => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    ApiError::new(status, error.to_string())
}
