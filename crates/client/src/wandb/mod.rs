//! The backend for the W&B protocol, for W&B's own servers and StreamTable's.

mod answer;
mod open;
mod upload;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, Uri};
use streamtable_schema::{ColumnPolicy, TablePath};
use streamtable_transport::{
    AnyTransport, AttemptTimeout, GzipBody, Origin, Transport, TransportError, TransportExt,
};
use streamtable_url::BaseUrl;
use streamtable_wire::{
    ASYNC_HEADER, COLUMNS_HEADER, FileStreamAnswer, FileStreamRequest, file_stream_path,
    history_body,
};

use crate::settings::WANDB_API;
use crate::{Append, AppendError, Appended, Backend, Open, OpenError, Opened, Settings, Upload};

/// A W&B-compatible server, reached over any transport.
///
/// Rows are sent in the protocol's asynchronous mode, like the legacy StreamTable did: each row
/// contains the writer's id, and posts have line numbers and are repeated exactly if a response was
/// lost.
#[derive(Debug)]
pub struct WandbBackend {
    transport: AnyTransport,
    base: BaseUrl,
    board: BaseUrl,
    app: BaseUrl,
    /// The minimum time between two posts.
    pace: Duration,
    gzip: bool,
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
        Ok(Self {
            transport: transport.with_headers(headers).with_auth(origin, key).traced().erased(),
            board: BaseUrl::board(settings.board_url.as_deref(), api).map_err(|e| address(&e))?,
            app: BaseUrl::app(settings.app_url.as_deref(), api).map_err(|e| address(&e))?,
            pace: if base.as_str() == WANDB_API { WANDB_PACE } else { Duration::ZERO },
            base,
            gzip: false,
        })
    }

    /// Compresses rows. This helps on a slow network, but not on a fast one.
    ///
    /// Requires a server that supports it (`FILESTREAM_GZIP` among its features), and a transport
    /// that does.
    /// transport that can.
    #[must_use]
    pub fn gzip(mut self, gzip: bool) -> Self {
        self.gzip = gzip;
        self
    }

    async fn post_json(
        &self,
        path: &str,
        body: Vec<u8>,
        timeout: Duration,
        adorn: impl FnOnce(&mut Request<Bytes>) + Send,
    ) -> Result<Response<Bytes>, TransportError> {
        let uri: Uri = format!("{}{path}", self.base)
            .parse()
            .map_err(|_| TransportError::InvalidRequest { reason: "no valid address".into() })?;
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        request.extensions_mut().insert(AttemptTimeout(timeout));
        adorn(&mut request);
        self.transport.send(request).await
    }

    async fn post_file_stream(
        &self,
        table: &TablePath,
        body: Vec<u8>,
        timeout: Duration,
        columns: ColumnPolicy,
    ) -> Result<Response<Bytes>, AppendError> {
        let columns = HeaderValue::from_static(match columns {
            ColumnPolicy::Strict => "strict",
            ColumnPolicy::Evolve => "evolve",
        });
        let adorn = |request: &mut Request<Bytes>| {
            let headers = request.headers_mut();
            headers.insert(ASYNC_HEADER, HeaderValue::from_static("true"));
            headers.insert(COLUMNS_HEADER, columns);
            if self.gzip {
                request.extensions_mut().insert(GzipBody);
            }
        };
        let response = self.post_json(&file_stream_path(table), body, timeout, adorn).await;
        answer::check(response)
    }
}

#[async_trait]
impl Backend for WandbBackend {
    async fn open(&self, open: Open) -> Result<Opened, OpenError> {
        self.open_table(open).await
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let body = history_body(append.first_line, append.lines.iter());
        let response =
            self.post_file_stream(&append.table, body, append.timeout, append.columns).await?;
        let rejected = FileStreamAnswer::parse(response.body()).rejected;
        Ok(Appended {
            rejected: rejected.into_iter().map(|row| (row.line, row.reason)).collect(),
            pause: answer::pause(response.headers()),
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
        self.post_file_stream(table, body, SHORT_TIMEOUT, ColumnPolicy::Evolve).await?;
        Ok(())
    }
}
