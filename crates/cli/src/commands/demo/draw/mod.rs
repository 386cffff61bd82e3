//! The page on which the user draws a digit, which the demo's classifier reads.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use streamtable::{FlushError, StreamTable, Value};
use streamtable_digits::Digits;
use streamtable_server::{ApiError, NewKey};
use tokio::sync::OnceCell;

use crate::failure::Failure;

/// The table of the drawn digits. It exists once a digit was drawn.
pub(super) const TABLE: &str = "demo/mnist/drawn";

/// The path of the page.
pub(super) const PATH: &str = "/draw";

/// How long a drawing waits until its row is stored.
const STORED_WITHIN: Duration = Duration::from_secs(10);

/// Allows the page its own files, and the board in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; frame-src 'self'; form-action 'none'; base-uri 'none'; \
    frame-ancestors 'none'";

/// Reads drawn digits, and logs them.
pub(super) struct Drawings {
    digits: Arc<Digits>,
    url: String,
    key: NewKey,
    table: OnceCell<StreamTable>,
}

/// The body of the page's request.
#[derive(Deserialize)]
struct Drawing {
    /// 8×8 grey values from 0 to 16, row by row.
    pixels: Vec<u8>,
    /// The digit that the user drew.
    truth: u8,
}

/// The classifier's result.
#[derive(Serialize)]
struct Reading {
    /// The digit.
    prediction: Value,
    /// The probability of each digit, by its name.
    scores: Value,
}

impl Drawings {
    pub(super) fn new(digits: Arc<Digits>, url: String, key: NewKey) -> Self {
        Self { digits, url, key, table: OnceCell::new() }
    }

    /// Returns the routes of the page.
    pub(super) fn router(self: Arc<Self>) -> Router {
        let file = |content_type: &'static str, content: &'static str| {
            get(async move || ([(CONTENT_TYPE, content_type)], content))
        };
        Router::new()
            .route(PATH, get(page).post(draw))
            .route("/draw/page.css", file("text/css; charset=utf-8", include_str!("page.css")))
            .route("/draw/page.js", file("text/javascript; charset=utf-8", include_str!("page.js")))
            .with_state(self)
    }

    /// Waits until all rows are stored, and returns a line about the table; empty if nothing was
    /// drawn.
    pub(super) async fn finish(&self) -> Result<String, FlushError> {
        match self.table.get() {
            Some(table) => Ok(format!("{TABLE}: {}\n", table.finish().await?)),
            None => Ok(String::new()),
        }
    }

    async fn table(&self) -> Result<&StreamTable, Failure> {
        self.table.get_or_try_init(|| super::open(TABLE, &self.url, &self.key)).await
    }
}

async fn page() -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)];
    (headers, include_str!("page.html"))
}

/// Classifies a drawing, and answers once its row is stored.
async fn draw(
    State(drawings): State<Arc<Drawings>>,
    Json(drawing): Json<Drawing>,
) -> Result<Json<Reading>, ApiError> {
    let pixels: [u8; 64] = drawing.pixels.try_into().map_err(|pixels: Vec<u8>| {
        ApiError::bad_request(format!("a drawing has 64 pixels, not {}", pixels.len()))
    })?;
    if drawing.truth > 9 {
        return Err(ApiError::bad_request("`truth` must be a digit"));
    }
    let row = drawings.digits.judge_drawing(&pixels, drawing.truth).map_err(failed)?.row;
    let (prediction, scores) = (row["prediction"].clone(), row["scores"].clone());
    let table = drawings.table().await.map_err(|_| failed("the table cannot be opened"))?;
    table.log(row).await.map_err(failed)?;
    table.flush(STORED_WITHIN).await.map_err(failed)?;
    Ok(Json(Reading { prediction, scores }))
}

fn failed(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}
