//! The backend for the W&B protocol, for W&B's own servers and StreamTable's.

mod answer;
mod open;
mod upload;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, Uri};
use streamtable_schema::{ColumnPolicy, TablePath};
use streamtable_transport::{
    AnyTransport, AttemptTimeout, Origin, Transport, TransportError, TransportExt,
};
use streamtable_url::BaseUrl;
use streamtable_wire::{
    ASYNC_HEADER, COLUMNS_HEADER, FileStreamAnswer, FileStreamRequest, GRAPHQL_PATH,
    REQUEST_HEADER, SentPost, file_stream_path, graphql, history_body, states_coverage,
};
use uuid::Uuid;

use crate::settings::WANDB_API;
use crate::{Append, AppendError, Appended, Backend, Open, OpenError, Opened, Settings, Upload};
use answer::Responder;

/// A W&B-compatible server, reached over any transport.
///
/// Rows are sent in the protocol's asynchronous mode, like the legacy StreamTable did: each row
/// contains the writer's id, and posts have line numbers and are repeated exactly if a response was
/// lost.
#[derive(Debug)]
pub struct WandbBackend {
    transport: AnyTransport,
    base: BaseUrl,
    origin: Origin,
    /// The server's host and port, for messages.
    host: String,
    board: BaseUrl,
    app: BaseUrl,
    /// The minimum time between two posts.
    pace: Duration,
    /// Whether the server has announced that its responses state what they cover. It is never reset:
    /// a proxy that responds later must not be able to do that.
    must_state: AtomicBool,
    /// Whether the server has responded at least once, so that its certificate was accepted.
    was_reached: AtomicBool,
    /// Prefix of the request ids.
    id: String,
    /// Number of request ids used.
    requests: AtomicU64,
}

/// An acknowledged post to a file stream.
struct Posted {
    answer: FileStreamAnswer,
    pause: Duration,
}

/// W&B's own service accepts one post every two seconds from a legacy client.
///
/// Source: protocol notes §7.
const WANDB_PACE: Duration = Duration::from_secs(2);

/// Timeout of requests that contain no rows.
const SHORT_TIMEOUT: Duration = Duration::from_secs(20);

impl WandbBackend {
    /// Creates a backend for the server and the API key in the settings.
    pub fn new(
        transport: impl Transport + 'static,
        settings: &Settings,
    ) -> Result<Self, OpenError> {
        let address =
            |error: &dyn std::fmt::Display| OpenError::Address { reason: error.to_string() };
        let api = &settings.base_url;
        let base: BaseUrl = api.parse().map_err(|e| address(&e))?;
        let origin: Origin = base.as_str().parse().map_err(|e: TransportError| address(&e))?;
        let Some(key) = &settings.api_key else {
            return Err(OpenError::NoKey { host: origin.authority() });
        };
        let mut headers = HeaderMap::new();
        let agent = HeaderValue::from_static(concat!("streamtable/", env!("CARGO_PKG_VERSION")));
        headers.insert(USER_AGENT, agent);
        let transport = transport.with_headers(headers).with_auth(origin.clone(), key);
        Ok(Self {
            transport: transport.traced().erased(),
            host: origin.authority(),
            origin,
            board: BaseUrl::board(settings.board_url.as_deref(), api).map_err(|e| address(&e))?,
            app: BaseUrl::app(settings.app_url.as_deref(), api).map_err(|e| address(&e))?,
            pace: if base.as_str() == WANDB_API { WANDB_PACE } else { Duration::ZERO },
            base,
            must_state: AtomicBool::new(false),
            was_reached: AtomicBool::new(false),
            id: Uuid::new_v4().simple().to_string(),
            requests: AtomicU64::new(0),
        })
    }

    async fn post_json(
        &self,
        path: &str,
        body: Vec<u8>,
        timeout: Duration,
        add_headers: impl FnOnce(&mut Request<Bytes>) + Send,
    ) -> Result<Response<Bytes>, TransportError> {
        let uri: Uri = format!("{}{path}", self.base)
            .parse()
            .map_err(|_| TransportError::InvalidRequest { reason: "the URL is invalid".into() })?;
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        request.extensions_mut().insert(AttemptTimeout(timeout));
        add_headers(&mut request);
        let response = self.transport.send(request).await;
        if response.is_ok() {
            self.was_reached.store(true, Ordering::Relaxed);
        }
        response
    }

    /// Sends an operation and returns the parsed response.
    async fn post_graphql<O: graphql::Operation + Sync>(
        &self,
        operation: &O,
        timeout: Duration,
    ) -> Result<O::Answer, AppendError> {
        let body = graphql::request_body(operation);
        let sent = body.len();
        let response = self.post_json(GRAPHQL_PATH, body, timeout, |_| ()).await;
        let response = answer::check(response, self.responder(), sent)?;
        self.record_coverage(&response);
        let parsed = graphql::acked_answer::<O, _>(&response);
        parsed.map_err(|error| answer::graphql_error(error, self.responder()))
    }

    /// Posts to a table's file stream, and returns the response if it acknowledges the post.
    async fn post_file_stream(
        &self,
        table: &TablePath,
        body: Vec<u8>,
        rows: Option<Range<u64>>,
        timeout: Duration,
        columns: ColumnPolicy,
    ) -> Result<Posted, AppendError> {
        let columns = HeaderValue::from_static(columns.as_str());
        let request = format!("{}-{}", self.id, self.requests.fetch_add(1, Ordering::Relaxed));
        let add_headers = |sent: &mut Request<Bytes>| {
            let headers = sent.headers_mut();
            headers.insert(ASYNC_HEADER, HeaderValue::from_static("true"));
            headers.insert(COLUMNS_HEADER, columns);
            if let Ok(request) = HeaderValue::try_from(&request) {
                headers.insert(REQUEST_HEADER, request);
            }
        };
        let sent = body.len();
        let response = self.post_json(&file_stream_path(table), body, timeout, add_headers).await;
        let response = answer::check(response, self.responder(), sent)?;
        self.record_coverage(&response);
        let must_state = self.responder().must_state;
        let sent = SentPost { rows, request: &request, must_state };
        let answer = answer::acked(sent.ack(&response), self.responder())?;
        if answer.request.is_some() {
            self.must_state.store(true, Ordering::Relaxed);
        }
        Ok(Posted { answer, pause: answer::pause(response.headers()) })
    }

    /// Records whether the server states what its responses cover.
    fn record_coverage(&self, response: &Response<Bytes>) {
        if states_coverage(response) {
            self.must_state.store(true, Ordering::Relaxed);
        }
    }

    /// Returns a seed for retry delays that differs from those of other clients.
    fn seed(&self) -> u64 {
        self.id.bytes().fold(0, |seed, byte| (seed << 5) ^ (seed >> 59) ^ u64::from(byte))
    }

    fn responder(&self) -> Responder<'_> {
        Responder {
            host: &self.host,
            must_state: self.must_state.load(Ordering::Relaxed),
            was_reached: self.was_reached.load(Ordering::Relaxed),
        }
    }
}

#[async_trait]
impl Backend for WandbBackend {
    fn identity(&self) -> Option<String> {
        Some(self.base.as_str().to_owned())
    }

    async fn open(&self, open: Open) -> Result<Opened, OpenError> {
        self.open_table(open).await
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let Append { table, first_line, lines, columns, timeout, .. } = append;
        let body = history_body(first_line, lines.iter());
        let rows = first_line..first_line.saturating_add(lines.len() as u64);
        let posted = self.post_file_stream(&table, body, Some(rows), timeout, columns).await?;
        let FileStreamAnswer { rejected, acked, .. } = posted.answer;
        Ok(Appended {
            rejected: rejected.into_iter().map(|row| (row.line, row.reason)).collect(),
            end: acked,
            pause: posted.pause,
        })
    }

    async fn upload(&self, upload: Upload) -> Result<Appended, AppendError> {
        self.upload_files(upload).await
    }

    async fn finish(&self, table: &TablePath) -> Result<(), AppendError> {
        let request = FileStreamRequest {
            complete: Some(true),
            exitcode: Some(0),
            dropped: Some(0),
            ..FileStreamRequest::default()
        };
        let body = request.to_bytes();
        self.post_file_stream(table, body, None, SHORT_TIMEOUT, ColumnPolicy::Evolve).await?;
        Ok(())
    }
}
